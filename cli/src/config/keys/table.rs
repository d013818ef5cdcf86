//! The table itself, in the order in which it is shown.

use super::Key;
use super::Kind::{
    Bool, Duration, Integer, List, Millis, Path, Range, Rate, Section, Sections, Statuses, Table,
    Tables, Target, Text,
};
use super::Scope::{Bursts, Closed, Https, Open, Patterns};
use super::Standing::{Anyway, Missing, NotYet};

/// What says how many requests start, beside `rate`, which may have a ramp and a spike.
const SCHEDULES: &[&str] = &["stage", "load", "burst_rate", "burst_delay"];

/// All keys that a file may have.
pub(crate) const KEYS: &[Key] = &[
    // Target.
    Key::flag("url", "url", Target, "What to load"),
    Key::flag("urls_from_file", "urls-from-file", Bool, "The url is a file of URLs, one per line")
        .rivals(&["rand_regex_url"]),
    Key::flag("rand_regex_url", "rand-regex-url", Bool, "The url is a pattern that makes URLs")
        .rivals(&["urls_from_file"]),
    Key::flag("max_repeat", "max-repeat", Integer, "Most repetitions that *, + and {n,} of it add")
        .only(Patterns),
    Key::flag("dump_urls", "dump-urls", Integer, "Print so many of its URLs, and load nothing")
        .only(Patterns),
    // Load.
    Key::flag("connections", "connections", Integer, "Connections to each host")
        .alias(&["concurrency", "max_tasks"])
        .live(),
    Key::flag("rate", "rate", Rate, "Requests per second, whatever the server does")
        .rivals(&["rpm", "stage", "load", "burst_rate", "burst_delay"])
        .live(),
    Key::flag("rpm", "rpm", Rate, "The same, per minute")
        .rivals(&["rate", "stage", "load", "burst_rate", "burst_delay"])
        .live(),
    Key::new("load", Section(LOAD), "A rate that changes in stages")
        .rivals(&["rate", "rpm", "stage", "ramp", "spike", "burst_rate", "burst_delay"])
        .live(),
    Key::flag("duration", "duration", Duration, "Length of the window"),
    Key::flag("requests", "requests", Integer, "Requests to measure, in total").alias(&["total"]),
    Key::flag("pipeline", "pipeline", Integer, "Most requests outstanding on a connection"),
    Key::flag("warmup", "warmup", Duration, "Left out of the numbers at the beginning"),
    Key::flag("drain", "drain", Duration, "Longest wait for last answers")
        .rivals(&["wait_ongoing_requests_after_deadline"]),
    Key::flag(
        "wait_ongoing_requests_after_deadline",
        "wait-ongoing-requests-after-deadline",
        Bool,
        "Wait for last answers: what is done anyway",
    )
    .rivals(&["drain"]),
    Key::flag("timeout", "timeout", Duration, "Longest wait for a response"),
    Key::flag("connect_timeout", "connect-timeout", Duration, "Longest wait for a connection"),
    Key::flag("deadline", "deadline", Duration, "Longest time from the intended start to the end"),
    Key::flag("on_full", "on-full", Text, "Without a free connection: queue, drop or grow"),
    Key::flag(
        "max_connections",
        "max-connections",
        Integer,
        "Most connections of on_full grow, or of an edit",
    ),
    Key::flag("spawn_rate", "spawn-rate", Integer, "Connections that join in together")
        .only(Closed),
    Key::flag("spawn_interval", "spawn-interval", Millis, "From one group to the next")
        .only(Closed),
    Key::flag("watch", "watch", Bool, "Change the load when this file is edited"),
    Key::flag(
        "watch_transition",
        "watch-transition",
        Duration,
        "In which time the rate gets to an edited one",
    )
    .alias(&["watch_transition_time"])
    .live(),
    // Schedule.
    Key::flag("arrivals", "arrivals", Text, "constant, poisson or uniform-jitter"),
    Key::flag("stage", "stage", List, "Stages in the words of the flag: 10s:0..5000")
        .alias(&["stages"])
        .rivals(&["rate", "rpm", "load", "ramp", "spike", "burst_rate", "burst_delay"])
        .live(),
    Key::flag("ramp", "ramp", Duration, "Rise from nothing to rate in so much time")
        .rivals(SCHEDULES)
        .live(),
    Key::flag("spike", "spike", Text, "Another rate in the middle of the window: 5s:20k")
        .rivals(SCHEDULES)
        .live(),
    Key::flag("burst_rate", "burst-rate", Integer, "Requests of one burst")
        .only(Bursts)
        .rivals(&["rate", "rpm", "stage", "load", "ramp", "spike"]),
    Key::flag("burst_delay", "burst-delay", Duration, "From one burst to the next")
        .only(Bursts)
        .rivals(&["rate", "rpm", "stage", "load", "ramp", "spike"]),
    Key::flag("latency_correction", "latency-correction", Bool, "What every open loop does anyway")
        .only(Open),
    // Request.
    Key::flag("method", "method", Text, "Method").alias(&["verb"]),
    Key::flag("headers", "header", List, "Header fields, \"Name: value\"").alias(&["header"]),
    Key::flag("data", "data", Text, "Body").rivals(&["data_file", "data_lines", "form"]),
    Key::flag("data_file", "data-file", Path, "Body, from a file").rivals(&[
        "data",
        "data_lines",
        "form",
    ]),
    Key::flag("data_lines", "data-lines", Path, "Bodies, one per line of a file, sent in turn")
        .rivals(&["data", "data_file", "form"]),
    Key::flag(
        "form",
        "form",
        List,
        "Parts of a form: NAME=VALUE or NAME=@FILE[;type=T][;filename=N]",
    )
    .rivals(&["data", "data_file", "data_lines"]),
    Key::flag("accept", "accept", Text, "The field Accept"),
    Key::flag("content_type", "content-type", Text, "The field Content-Type"),
    Key::flag("basic_auth", "basic-auth", Text, "user:password, in the field Authorization"),
    Key::flag("aws_sigv4", "aws-sigv4", Text, "Sign requests for AWS: aws:amz:region:service"),
    Key::flag("aws_session", "aws-session", Text, "Token of the session that aws_sigv4 signs in"),
    Key::flag("no_ua", "no-ua", Bool, "Send no User-Agent of pummel's own; needs authorized")
        .alias(&["no_default_ua"]),
    Key::flag("authorized", "authorized", Bool, "Whoever runs the target knows of the load"),
    Key::flag("compression", "compression", Bool, "Ask for compressed bodies")
        .rivals(&["disable_compression"]),
    Key::flag("disable_compression", "disable-compression", Bool, "Ask for none, the default")
        .rivals(&["compression"]),
    Key::flag("redirect", "redirect", Integer, "Most redirects that a request follows"),
    Key::flag("allow_hosts", "allow-host", List, "Further hosts for redirects and for values")
        .alias(&["allow_host"]),
    Key::flag("cookies", "cookies", Text, "Whether users keep cookies: off, on or iteration"),
    Key::flag("cookies_load", "cookies-load", Path, "File of cookies that each user has at first"),
    Key::flag("cookies_save", "cookies-save", Path, "File for those that users have in the end"),
    Key::flag("dry_run", "dry-run", Bool, "Send each request once, and print what is exchanged")
        .rivals(&["preflight"]),
    Key::flag("preflight", "preflight", Bool, "Send each request once before the run, as a test")
        .rivals(&["dry_run"]),
    Key::flag("status", "status", Statuses, "Statuses that count as ok"),
    // Connections and protocol.
    Key::flag("http2", "http2", Bool, "Speak HTTP/2"),
    Key::flag("http2_upgrade", "http2-upgrade", Bool, "Speak HTTP/2, begun as HTTP/1.1"),
    Key::flag("http_version", "http-version", Text, "What to speak: \"1.0\", \"1.1\" or \"2\""),
    Key::flag("streams", "streams", Integer, "Most requests outstanding on an HTTP/2 connection")
        .alias(&["http2_parallel"]),
    Key::flag("host", "host", Text, "Another host than the URL's in the request"),
    Key::flag("connect_to", "connect-to", List, "Connect elsewhere: HOST:PORT:HOST:PORT"),
    Key::flag("unix_socket", "unix-socket", Path, "Connect to this Unix socket"),
    Key::flag("ipv4", "ipv4", Bool, "Use IPv4 addresses only").rivals(&["ipv6"]),
    Key::flag("ipv6", "ipv6", Bool, "Use IPv6 addresses only").rivals(&["ipv4"]),
    Key::flag("no_pre_lookup", "no-pre-lookup", Bool, "Look the name up during the run, too"),
    Key::flag("source_ip", "source-ip", List, "Addresses that connections come from"),
    Key::flag("disable_keepalive", "disable-keepalive", Bool, "A new connection for each request"),
    Key::flag(
        "connections_per_second",
        "connections-per-second",
        Rate,
        "Replace so many connections by new ones",
    ),
    Key::flag("close", "close", Text, "How to close a connection: fin or rst"),
    // TLS.
    Key::flag("cacert", "cacert", Path, "Whom to believe: certificates in PEM").only(Https),
    Key::flag("cert", "cert", Path, "The client's certificate and its issuers, PEM").only(Https),
    Key::flag("key", "key", Path, "The private key to it, PEM").only(Https),
    Key::flag("insecure", "insecure", Bool, "Believe anybody").only(Https),
    Key::flag("tls_min", "tls-min", Text, "Oldest version to offer: \"1.2\" or \"1.3\"")
        .only(Https),
    Key::flag("tls_max", "tls-max", Text, "Newest version to offer: \"1.2\" or \"1.3\"")
        .only(Https),
    Key::flag("tls_groups", "tls-groups", Text, "Groups for the key exchange").only(Https),
    Key::flag("alpn", "alpn", List, "Protocols to offer, the preferred one first").only(Https),
    Key::flag("sni", "sni", Text, "The name to ask for and to verify").only(Https),
    Key::flag("tls_resume", "tls-resume", Text, "Take up earlier sessions: on or off").only(Https),
    // Proxy.
    Key::flag("proxy", "proxy", Text, "A proxy, http://user:password@host:port")
        .alias(&["proxy_url"]),
    Key::flag("proxy_headers", "proxy-header", List, "Header fields for the proxy alone")
        .alias(&["proxy_header"]),
    Key::flag("proxy_http_version", "proxy-http-version", Text, "\"1.1\" or \"2\" to the proxy"),
    Key::flag("proxy_http2", "proxy-http2", Bool, "Speak HTTP/2 to the proxy"),
    // Machine.
    Key::flag("shards", "shards", Integer, "Shards, one pinned thread each"),
    Key::flag("cores", "cores", Text, "CPUs for the shards: \"1,3-5\""),
    Key::flag("reactor", "reactor", Text, "How to meet the kernel: auto, uring or epoll"),
    Key::flag("pacing", "pacing", Text, "How to wait for a start: sleep, hybrid or spin"),
    Key::flag("seed", "seed", Integer, "Seed of everything random"),
    Key::flag("calibrate", "calibrate", Bool, "Measure first what this machine can do"),
    // Output.
    Key::flag("json", "json", Bool, "Print the report as one JSON document"),
    Key::flag("no_tui", "no-tui", Bool, "Show progress as lines").alias(&["no_ui"]),
    Key::flag("strict", "strict", Bool, "Exit with 3 when the verdict is SUSPECT"),
    Key::flag("fail_if", "fail-if", List, "Exit with 4 when one of these is so: \"p99>20ms\""),
    Key::flag("junit", "junit", Path, "File for what became of them, as JUnit XML"),
    Key::flag("verbose", "verbose", Bool, "Say what will be done"),
    // What files of strest ask for, and is done in any case.
    Key::new("$schema", Text, "Where an editor finds the schema").standing(Anyway),
    Key::new("summary", Bool, "Print a report at the end").standing(Anyway),
    Key::new("no_charts", Bool, "Make no charts").standing(Anyway),
    Key::new("no_color", Bool, "Write without colours").standing(Anyway),
    // What they ask for, and does nothing to the requests.
    Key::new("pool_max_idle_per_host", Integer, "Idle connections to keep").standing(NotYet),
    Key::new("pool_idle_timeout_ms", Integer, "How long to keep them").standing(NotYet),
    Key::new("charts_path", Path, "Folder for charts").standing(NotYet),
    Key::new("tmp_path", Path, "Folder for temporary data").standing(NotYet),
    Key::new("keep_tmp", Bool, "Keep temporary data").standing(NotYet),
    Key::new("output", Path, "File for results").standing(NotYet),
    Key::new("output_format", Text, "Form of that file").standing(NotYet),
    Key::new("time_unit", Text, "Unit of times in the report").standing(NotYet),
    Key::new("export_csv", Path, "File for requests as CSV").standing(NotYet),
    Key::new("export_json", Path, "File for requests as JSON").standing(NotYet),
    Key::new("export_jsonl", Path, "File for requests as JSON lines").standing(NotYet),
    Key::new("db_url", Path, "File for requests as SQLite").standing(NotYet),
    Key::new("log_shards", Integer, "Writers of temporary data").standing(NotYet),
    Key::new("ui_window_ms", Integer, "Length of the live chart").standing(NotYet),
    Key::new("fps", Integer, "Frames of the live view per second").standing(NotYet),
    Key::new("stats_success_breakdown", Bool, "Tell ok from failed").standing(NotYet),
    Key::new("metrics_range", Range, "Seconds that charts show: \"10-30\"").standing(NotYet),
    Key::new("metrics_max", Integer, "Most points of charts").standing(NotYet),
    Key::new("rss_log_ms", Integer, "How often to log memory").standing(NotYet),
    Key::new("alloc_profiler_ms", Integer, "How often to log allocations").standing(NotYet),
    Key::new("alloc_profiler_dump_ms", Integer, "How often to dump the heap").standing(NotYet),
    Key::new("alloc_profiler_dump_path", Path, "Folder for dumps of the heap").standing(NotYet),
    Key::new("sinks", Section(SINKS), "Where numbers go during the run").standing(NotYet),
    // What they ask for, and without which a run would be another.
    Key::new("script", Path, "A program that makes scenarios")
        .standing(Missing("scenarios that a program makes are")),
    Key::new("distributed", Section(DISTRIBUTED), "Runs on several machines")
        .standing(Missing("runs on several machines are")),
    Key::new("http3", Bool, "Speak HTTP/3").standing(Missing("HTTP/3 is")),
    Key::new("feeds", Table, "Rows of values from files, by name"),
    Key::new("scenario", Table, "Several requests in order"),
    Key::new("scenarios", Table, "Scenarios by name, by weight or each with a rate"),
    Key::new("targets", Tables, "Requests by weight, or each with a rate"),
];

/// The keys of `load`.
const LOAD: &[Key] = &[
    Key::new("rate", Rate, "Requests per second at the beginning, 0 if it has stages"),
    Key::new("rpm", Rate, "The same, per minute"),
    Key::new("stages", Sections(STAGE), "Linear changes, one after the other"),
];

/// The keys of a stage of `load`.
const STAGE: &[Key] = &[
    Key::new("duration", Duration, "How long the change takes"),
    Key::new("target", Rate, "Requests per second at its end"),
    Key::new("rate", Rate, "The same as target"),
    Key::new("rpm", Rate, "The same, per minute"),
];

const SINKS: &[Key] = &[
    Key::new("update_interval_ms", Integer, "How often they are written"),
    Key::new("prometheus", Section(SINK), "A text file for Prometheus"),
    Key::new("otel", Section(SINK), "A file of JSON"),
    Key::new("influx", Section(SINK), "A file in the line protocol"),
];

const SINK: &[Key] = &[Key::new("path", Path, "The file")];

const DISTRIBUTED: &[Key] = &[
    Key::new("role", Text, "controller or agent"),
    Key::new("controller_mode", Text, "auto or manual"),
    Key::new("listen", Text, "Where a controller listens for agents"),
    Key::new("control_listen", Text, "Where it listens for commands"),
    Key::new("control_auth_token", Text, "Token of commands"),
    Key::new("join", Text, "The controller of an agent"),
    Key::new("auth_token", Text, "Token of agents"),
    Key::new("agent_id", Text, "Name of an agent"),
    Key::new("weight", Integer, "Share of an agent"),
    Key::new("min_agents", Integer, "Agents to wait for"),
    Key::new("agent_wait_timeout_ms", Integer, "Longest wait for them"),
    Key::new("agent_standby", Bool, "Stay connected between runs"),
    Key::new("agent_reconnect_ms", Integer, "From one try to connect to the next"),
    Key::new("agent_heartbeat_interval_ms", Integer, "From one sign of life to the next"),
    Key::new("agent_heartbeat_timeout_ms", Integer, "Longest time without one"),
    Key::new("stream_summaries", Bool, "Send numbers during the run"),
    Key::new("stream_interval_ms", Integer, "How often"),
];
