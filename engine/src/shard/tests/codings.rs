//! Bodies that were compressed, for those who look at them.

use super::users::{SERVICE, asking, scripted, work_of};
use super::*;
use crate::judge::{BodyTest, Check, Marker, Sizes, Test};
use crate::plan::Step;

/// `{"token":"t1"}`, as gzip has it.
const GZIP: &[u8] = &[
    31, 139, 8, 0, 0, 0, 0, 0, 2, 3, 171, 86, 42, 201, 207, 78, 205, 83, 178, 82, 42, 49, 84, 170,
    5, 0, 150, 221, 12, 183, 14, 0, 0, 0,
];

/// A server whose answers have this coding and this body.
fn coded(coding: &str, body: &'static [u8]) -> Script {
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Encoding: {coding}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let answer = [head.as_bytes(), body].concat();
    server(move |_| vec![(SERVICE, Act::Say(answer.clone()))])
}

/// What becomes of a check of the token, and of one of the length, by a server with such answers.
fn looked(coding: &str, body: &'static [u8]) -> [(u64, Vec<(&'static str, u64)>); 2] {
    let token = Test::Body(BodyTest::Contains(Marker::new("\"t1\"").unwrap()));
    let size = Test::Size(Sizes::new(GZIP.len() as u64, GZIP.len() as u64).unwrap());
    let mut one = asking("/a");
    one.checks = [token, size].into_iter().map(|test| Check::new("", test)).collect();
    let work = work_of(vec![one], &[(1, &[Step::Request(0)])]);
    let ended = run(scripted(&closed(2), 2, requests(6), work), coded(coding, body));
    let looked = ended.numbers.looked.iter().map(|it| (it.held, it.reasons.clone()));
    looked.collect::<Vec<_>>().try_into().unwrap()
}

#[test]
fn a_body_is_decoded_for_a_check_and_measured_as_it_came() {
    assert_eq!(looked("gzip", GZIP), [(6, Vec::new()), (6, Vec::new())]);
}

#[test]
fn what_cannot_be_decoded_is_a_reason() {
    assert_eq!(looked("sdch", GZIP)[0], (0, vec![("encoding", 6)]));
    assert_eq!(looked("br", GZIP)[0], (0, vec![("not_decoded", 6)]));
}

#[test]
fn a_body_of_a_try_is_shown_decoded_with_what_it_came_as() {
    for (coding, body, bytes, decoded) in [
        ("gzip", GZIP, &b"{\"token\":\"t1\"}"[..], Ok(true)),
        ("zstd", GZIP, b"", Err("not_decoded")),
    ] {
        let tried = plan(&closed(1), 1, requests(1)).tried();
        let ended = run(tried, coded(coding, body));
        let crate::record::End::Answered(answer) = &ended.exchanges[0].end else { panic!() };
        assert_eq!(answer.body.bytes, bytes);
        let came = GZIP.len() as u64;
        assert_eq!(answer.coded, Some(crate::record::Coded { came, decoded }));
    }
}
