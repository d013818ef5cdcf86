//! Closed forms: what a run against a known server must measure. Spans are in seconds.
//!
//! They are those that the runs in virtual time are held against (docs/TESTING.md), for any length
//! of a run.

/// Waits of evenly spaced arrivals at a server that freezes for `length` in each `period`: the one
/// that comes `x` after the beginning waits for `length − x`.
pub(super) fn caught(length: f64, period: f64) -> impl Fn(f64) -> f64 {
    move |q| (length - period * (1.0 - q)).max(0.0)
}

/// The same where the server has a capacity, of which `load` is used: it works the freeze off with
/// what is left, so that the freeze reaches `length / (1 − load)`.
pub(super) fn worked_off(length: f64, period: f64, load: f64) -> impl Fn(f64) -> f64 {
    caught(length, period * (1.0 - load))
}

/// Waits of arrivals for `length` at `excess` = λ/μ times what the server takes: the one of time
/// `t` waits for `t (λ/μ − 1)`.
pub(super) fn overloaded(length: f64, excess: f64) -> impl Fn(f64) -> f64 {
    move |q| length * q * (excess - 1.0)
}

/// The same if nobody waits for what is owed at the end: those that were answered, and for the
/// others the time that they had waited, both of them spread evenly up to the same span.
pub(super) fn cut_off(length: f64, excess: f64) -> impl Fn(f64) -> f64 {
    move |q| q * length * (1.0 - 1.0 / excess)
}

/// Response times of a queue with Poisson arrivals and exponential service: exponential with the
/// rate μ − λ.
pub(super) fn mm1(arrivals: f64, service: f64) -> impl Fn(f64) -> f64 {
    move |q| -(1.0 - q).ln() / (1.0 / service - arrivals)
}

/// Response times of a queue with Poisson arrivals and constant service: the waits are those of
/// Erlang (1909), `P(W ≤ t) = (1 − ρ) Σ (λ(kD − t))ᵏ / k! · e^(λ(t − kD))` over `k ≤ t / D`.
pub(super) fn md1(arrivals: f64, service: f64) -> impl Fn(f64) -> f64 {
    move |q| {
        let (mut low, mut high) = (0.0, service * MD1_LONGEST);
        for _ in 0..60 {
            let middle = f64::midpoint(low, high);
            if md1_within(arrivals, service, middle) < q { low = middle } else { high = middle }
        }
        service + f64::midpoint(low, high)
    }
}

/// Longest wait that is looked for, in times of service. Beyond, the terms of the sum are so large
/// that their differences are lost.
const MD1_LONGEST: f64 = 20.0;

/// The share of arrivals that wait for at most `wait`.
fn md1_within(arrivals: f64, service: f64, wait: f64) -> f64 {
    let (mut sum, mut start, mut k) = (0.0, 0.0, 0.0);
    while start <= wait {
        let reach = arrivals * (start - wait);
        let mut term = (-reach).exp();
        let mut n = 1.0;
        while n <= k {
            term *= reach / n;
            n += 1.0;
        }
        sum += term;
        k += 1.0;
        start = service * k;
    }
    (1.0 - arrivals * service) * sum
}

/// How long slots of a run of `length` are late if the client stands still for `stop`: evenly up to
/// that.
pub(super) fn held_up(stop: f64, length: f64) -> impl Fn(f64) -> f64 {
    caught(stop, length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(truth: impl Fn(f64) -> f64, known: &[(f64, f64)]) {
        for &(q, expected) in known {
            let found = truth(q);
            // The tables have three digits.
            assert!((found - expected).abs() < 0.001_5 * expected + 1e-9, "{q}: {found}");
        }
    }

    /// The rows of the table in the design: T2, T4, T5, T7, T9 and T10.
    #[test]
    fn closed_forms_give_the_numbers_of_the_table() {
        let known = [(0.5, 0.0), (0.89, 0.0), (0.91, 0.1), (0.95, 0.5), (0.99, 0.9), (1.0, 1.0)];
        check(caught(1.0, 10.0), &known);
        check(caught(1.0, 100.0), &[(0.989, 0.0), (0.995, 0.5), (0.9999, 0.99)]);
        let known = [(0.79, 0.0), (0.85, 0.025), (0.9, 0.05), (0.95, 0.075), (0.99, 0.095)];
        check(worked_off(0.1, 1.0, 0.5), &known);
        check(overloaded(30.0, 1.2), &[(0.5, 3.0), (0.9, 5.4), (0.99, 5.94), (1.0, 6.0)]);
        check(cut_off(30.0, 1.2), &[(0.99, 4.95), (1.0, 5.0)]);
        check(held_up(0.5, 60.0), &[(0.99, 0.0), (0.995, 0.2), (0.999, 0.44), (1.0, 0.5)]);
    }

    #[test]
    fn queues_have_the_quantiles_of_the_table() {
        let ms = |known: [(f64, f64); 4]| known.map(|(q, span)| (q, span / 1e3));
        let known = [(0.5, 2.310), (0.9, 7.675), (0.99, 15.351), (0.999, 23.026)];
        check(mm1(700.0, 1e-3), &ms(known));
        let known = [(0.5, 1.730), (0.9, 4.077), (0.99, 7.486), (0.999, 10.894)];
        check(md1(700.0, 1e-3), &ms(known));
        // The p99 at other loads.
        for (arrivals, p99) in [(500.0, 0.004_34), (800.0, 0.011_36)] {
            check(md1(arrivals, 1e-3), &[(0.99, p99)]);
        }
    }
}
