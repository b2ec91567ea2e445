//! The format of a profile: every table, key, step and argument, each in one place.
//!
//! The loader reads with these names, its messages list them, and [`describe`] prints them; they cannot differ.

use std::fmt::Write as _;

/// The one schema there is.
pub const SCHEMA: i64 = 1;

/// Begins the names of a vendor's own steps, which may take any arguments: `x-time`.
pub const OWN_STEP: &str = "x-";

/// A table of the file.
#[derive(Debug, Clone, Copy)]
pub struct TableFormat {
    /// Its heading as it is written: `[serial]`.
    pub heading: &'static str,
    /// What it holds.
    pub means: &'static str,
    /// Its keys.
    pub keys: &'static [Key],
}

/// A key of a table.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// Its name.
    pub name: &'static str,
    /// Whether it has to be there.
    pub required: bool,
    /// How it is written.
    pub example: &'static str,
    /// What it means.
    pub means: &'static str,
    /// What holds without it; nothing where it has to be there.
    pub without: &'static str,
}

/// A step in vendor-free words.
#[derive(Debug, Clone, Copy)]
pub struct StepFormat {
    /// Its name.
    pub name: &'static str,
    /// Whether every profile has to have it.
    pub required: bool,
    /// What it does.
    pub means: &'static str,
    /// The arguments it offers to its commands, in groups.
    pub arguments: &'static [&'static [&'static str]],
}

impl StepFormat {
    /// The arguments the step offers.
    pub fn arguments(&self) -> impl Iterator<Item = &'static str> {
        self.arguments.iter().copied().flatten().copied()
    }
}

/// The step of this name.
pub fn step(name: &str) -> Option<&'static StepFormat> {
    STEPS.iter().find(|step| step.name == name)
}

const fn must(name: &'static str, example: &'static str, means: &'static str) -> Key {
    Key { name, required: true, example, means, without: "" }
}

const fn may(name: &'static str, example: &'static str, means: &'static str, without: &'static str) -> Key {
    Key { name, required: false, example, means, without }
}

const CITES: Key = may("cites", r#"cites = ["A780-8.2-35"]"#, "clauses of the document", "none");

/// The top of the file.
pub const TOP: TableFormat = TableFormat {
    heading: "the head of the file",
    means: "what the module is called, and the other tables",
    keys: &[
        must("schema", "schema = 1", "version of this format"),
        must("name", r#"name = "air780e""#, "name on the command line and in reports, a-z 0-9 and -"),
        must("title", r#"title = "Luat Air780E""#, "name for people"),
        must("document", r#"document = "air780e-application-note""#, "where the clauses come from"),
        must("serial", "[serial]", "serial settings"),
        must("time", "[time]", "waiting times"),
        may("bring-up", "[bring-up]", "what is sent when the port is taken, and after cases", ""),
        must("lines", "[lines]", "lines that mean the same after every command"),
        must("message", "[message]", "how received messages are printed"),
        may("escape", "[escape]", "how bytes are written inside a quoted argument", ""),
        must("step", "[[step.probe]]", "the steps, each a list of exchanges"),
        may("arg", "[arg]", "ranges and lengths of arguments", ""),
        may("behaviour", "[behaviour]", "what the document promises besides", ""),
        may("state", "[state]", "values of `{state}` in the answer to `status`", ""),
        may("codes", "[codes]", "numbers of `{type}` in a failure line", ""),
        may(
            "cites",
            "[cites]",
            "clauses that a case checks on this module, `\"suite/case\" = [\"A780-8.2-35\"]`",
            "",
        ),
        may(
            "implied",
            r#"implied = ["unsubscribe/held-unsuback"]"#,
            "cases that only warn on this module: its document only implies what they ask",
            "none",
        ),
        may("decision", "[[decision]]", "contradictions of the document and how they were decided", ""),
        may("alternative", "[[alternative]]", "contradictions of which each form is accepted", ""),
    ],
};

/// `[serial]`.
pub const SERIAL: TableFormat = TableFormat {
    heading: "[serial]",
    means: "serial settings; a line is always 8N1, raw, without flow control",
    keys: &[
        must("baud", "baud = 115200", "speed of the line"),
        must("line_end", r#"line_end = "\r\n""#, r#"what ends a command line: "\r", "\n" or "\r\n""#),
    ],
};

/// `[time]`.
pub const TIME: TableFormat = TableFormat {
    heading: "[time]",
    means: "waiting times in ms, each multiplied by the clock factor",
    keys: &[
        must("answer", "answer = 9000", "from a command line to its final result code"),
        must("result", "result = 30000", "from the final result code to a later result line"),
        must("hold", "hold = 3000", "how long a packet is kept back to see that the module says nothing"),
        must("quiet", "quiet = 2000", "how long nothing must come where silence is the answer"),
        must("withhold", "withhold = 10000", "how long a withheld acknowledgement is waited out"),
    ],
};

/// `[bring-up]`.
pub const BRING_UP: TableFormat = TableFormat {
    heading: "[bring-up]",
    means: "what is sent apart from the cases; a refusal is borne",
    keys: &[
        may("send", r#"send = ["ATE0"]"#, "command lines, in order", "none"),
        may(
            "clear",
            r#"clear = ["AT+MIPCLOSE"]"#,
            "command lines sent after each case that connects, beside `disconnect` and `close`; any answer is borne",
            "none",
        ),
    ],
};

/// `[lines]`.
pub const LINES: TableFormat = TableFormat {
    heading: "[lines]",
    means: "lines that mean the same after every command",
    keys: &[
        must("refused", r#"refused = ["ERROR"]"#, "final result codes of refusal"),
        may(
            "failed",
            r#"failed = ["CONNECT FAIL"]"#,
            "failure after the final result code, or a lost connection",
            "none",
        ),
        may(
            "lost",
            r#"lost = ["+MCONNECT: FAILURE,1"]"#,
            "what the document prints for a lost connection",
            "nothing",
        ),
        may("boot", r#"boot = ["RDY"]"#, "lines printed when the module starts", "none"),
    ],
};

/// `[message]`.
pub const MESSAGE: TableFormat = TableFormat {
    heading: "[message]",
    means: "how received messages are printed; a form ends with a payload framed by its length",
    keys: &[
        may(
            "direct",
            r#"direct = ['+MSUB: "{topic}",{len:n} byte,{payload}']"#,
            "printed as it comes; the document's own form first",
            "`any = true`",
        ),
        may(
            "any",
            "any = true",
            "the document gives no form: any line with topic and payload is the message",
            "false",
        ),
        may(
            "cached",
            "cached = ['+MSUB: {topic},{len:n} byte,{payload}']",
            "read out of the module's cache",
            "none",
        ),
        may("announced", r#"announced = ["+MSUB: {slot:n}"]"#, "announcement of a cached message", "none"),
        may(
            "empty",
            r#"empty = ["+MQTTMSGGET: INVALID"]"#,
            "printed for an empty place of the cache",
            "none",
        ),
        CITES,
    ],
};

/// `[escape]`.
pub const ESCAPE: TableFormat = TableFormat {
    heading: "[escape]",
    means: "how bytes are written inside an argument that is `escaped`",
    keys: &[must("table", r#"table = { '"' = '\22' }"#, "byte = what is written for it"), CITES],
};

/// `[[step.…]]`, one exchange of a step.
pub const EXCHANGE: TableFormat = TableFormat {
    heading: "[[step.…]]",
    means: "one command of a step and what may be printed because of it; several are done in order",
    keys: &[
        must(
            "send",
            r#"send = "AT+MCONNECT={clean},{keepalive}""#,
            "the command line, or a list of documented spellings, the usual one first",
        ),
        may("one_spelling", "one_spelling = true", "whether one of the spellings is enough", "false"),
        may("when", r#"when = "keepalive""#, "done only where the case gives this argument", "always"),
        may("with", r#"with = { clean = "1" }"#, "values of arguments that the case does not give", "none"),
        may("prompt", r#"prompt = ">""#, "printed before data is taken", "none"),
        may(
            "prompt_after",
            r#"prompt_after = "answer""#,
            "what the prompt follows: command or answer",
            "command",
        ),
        may("data", r#"data = "payload""#, "the argument that is sent after the prompt", "none"),
        may("data_end", r#"data_end = "\u001a""#, "what is sent behind the data", "nothing"),
        may(
            "patience",
            "patience = 15000",
            "how long it waits for its data before it gives up, in ms",
            "unknown",
        ),
        may(
            "info",
            r#"info = ["+CGREG: {mode:n},{state:n}"]"#,
            "lines before the final result code, any of them",
            "none",
        ),
        may(
            "lines",
            r#"lines = ["+MPUB: <topic>"]"#,
            "lines before the final result code, all in this order",
            "none",
        ),
        may("answer", r#"answer = ["OK"]"#, "final result codes of success", "OK"),
        may(
            "refused",
            r#"refused = ["ERR"]"#,
            "final result codes of refusal that only this command has",
            "none",
        ),
        may(
            "result",
            r#"result = ["CONNACK OK"]"#,
            "the later line that alone means success, or a table by QoS",
            "none",
        ),
        may("failure", r#"failure = ["+MSUB: FAILURE"]"#, "lines of failure, wherever they come", "none"),
        may("first", r#"first = "result""#, "which comes first: answer, result or either", "answer"),
        may("needs", r#"needs = "result""#, "what success needs: both, result or any", "both"),
        may(
            "certain",
            "certain = false",
            "whether success is told only after the broker's acknowledgement, or a table by QoS",
            "true",
        ),
        may("nothing", r#"nothing = ["ALREADY SUBSCRIBE"]"#, "printed where there is nothing to do", "none"),
        may(
            "nothing_ends",
            "nothing_ends = true",
            "whether it may come without a final result code",
            "false",
        ),
        may("bear", r#"bear = ["PUBREC"]"#, "lines that may come besides", "none"),
        may(
            "known",
            r#"known = "full""#,
            "how much the document says of it: full, name (only the command) or family (nothing)",
            "full",
        ),
        may("within", "within = 60000", "waiting time for the result in ms", "that of [time]"),
        CITES,
    ],
};

/// A `result` that depends on the QoS.
pub const RESULT: TableFormat = TableFormat {
    heading: "result = { … }",
    means: "the later lines of success by QoS",
    keys: &[
        may("qos0", r#"qos0 = ["+MPUB: 0"]"#, "for QoS 0", "none"),
        may("qos1", r#"qos1 = ["PUBACK"]"#, "for QoS 1", "none"),
        may("qos2", r#"qos2 = ["PUBCOMP"]"#, "for QoS 2", "none"),
    ],
};

/// A `certain` that depends on the QoS.
pub const CERTAIN: TableFormat = TableFormat {
    heading: "certain = { … }",
    means: "whether success is told only after the broker's acknowledgement, by QoS",
    keys: &[
        may("qos0", "qos0 = true", "for QoS 0", "true"),
        may("qos1", "qos1 = true", "for QoS 1", "true"),
        may("qos2", "qos2 = false", "for QoS 2", "true"),
    ],
};

/// One line of `[arg]`.
pub const ARGUMENT: TableFormat = TableFormat {
    heading: "[arg]",
    means: r#"what the document says of an argument: `qos = { … }`, or for one step `"publish.payload" = { … }`"#,
    keys: &[
        may("range", "range = [0, 2]", "whole numbers from and to", ""),
        may("length", "length = [0, 2384]", "shortest and longest text in bytes", ""),
        may("escaped", "escaped = true", "whether the escapes are written and read in it", "false"),
        may("default", r#"default = "0""#, "what is sent where a case gives no value", "none"),
        may(
            "without",
            r"without = '\,'",
            "bytes of which the document does not say how they are written",
            "none",
        ),
        CITES,
    ],
};

/// `[behaviour]`.
pub const BEHAVIOUR: TableFormat = TableFormat {
    heading: "[behaviour]",
    means: "what the document promises of the module's behaviour",
    keys: &[
        may("cache", "cache = 4", "messages the cache holds", "unknown"),
        may("receive_max", "receive_max = 1360", "longest payload printed, in bytes", "unknown"),
        may(
            "single_connection",
            "single_connection = true",
            "whether there is only one connection at a time",
            "false",
        ),
        may(
            "format_errors",
            "format_errors = true",
            "whether a command of a wrong form is refused for certain, and told so",
            "false",
        ),
        may("command_max", "command_max = 256", "longest command line with its end, in bytes", "unknown"),
        may(
            "connect_within",
            "connect_within = 60",
            "seconds until an unused TCP connection is closed",
            "never",
        ),
        may("keepalive_zero", "keepalive_zero = 120", "what a keep alive of 0 becomes, in s", "0"),
        may("mqtt31", "mqtt31 = true", "whether the module may speak MQTT 3.1 as well", "false"),
        may(
            "receive_topic_max",
            "receive_topic_max = 64",
            "longest topic of a received message, in bytes",
            "unknown",
        ),
        may(
            "receive_cut",
            "receive_cut = true",
            "whether longer payloads are cut to `receive_max`",
            "unknown",
        ),
    ],
};

/// `[state]`.
pub const STATE: TableFormat = TableFormat {
    heading: "[state]",
    means: "values of `{state}` in the answer to `status`",
    keys: &[
        must("closed", r#"closed = ["0"]"#, "no connection"),
        may("open", r#"open = ["2"]"#, "TCP without MQTT", "like closed"),
        must("connected", r#"connected = ["1"]"#, "MQTT"),
    ],
};

/// `[codes]`.
pub const CODES: TableFormat = TableFormat {
    heading: "[codes]",
    means: "numbers of `{type}` in a failure line that fit a reason",
    keys: &[
        may("parameter", "parameter = [2]", "an argument is wrong", "unknown"),
        may("unreachable", "unreachable = [5]", "the server cannot be reached", "unknown"),
        may("refused", "refused = [6]", "CONNACK refuses, or does not come", "unknown"),
        may("busy", "busy = [7]", "the old connection still stands", "unknown"),
        may("tls", "tls = [8]", "the TLS handshake fails", "unknown"),
        may("lost", "lost = [1]", "the connection was lost", "unknown"),
    ],
};

/// `[[alternative]]`.
pub const ALTERNATIVE: TableFormat = TableFormat {
    heading: "[[alternative]]",
    means: "a contradiction of which each form is accepted; a run tells which the module uses",
    keys: &[
        must("id", r#"id = "X35""#, "X and its number"),
        must("text", r#"text = "whether OK follows ALREADY SUBSCRIBE""#, "what it is about"),
        must(
            "forms",
            r#"forms = { "OK follows" = '^< ALREADY SUBSCRIBE\n< OK$', "no OK" = '^< ALREADY SUBSCRIBE\n[^<]' }"#,
            "pattern of each form in the trace of a case: `> ` command, `< ` printed, `~ ` packet of the module, `= ` of the broker",
        ),
    ],
};

/// `[[decision]]`.
pub const DECISION: TableFormat = TableFormat {
    heading: "[[decision]]",
    means: "a contradiction of the document and how it was decided",
    keys: &[
        must("id", r#"id = "X43""#, "X and its number"),
        must(
            "text",
            r#"text = "the port is sent in quotes, as the flow prints it""#,
            "the decision and its reason",
        ),
    ],
};

/// All tables, in the order of a file.
pub const TABLES: &[TableFormat] = &[
    TOP,
    SERIAL,
    TIME,
    BRING_UP,
    LINES,
    MESSAGE,
    ESCAPE,
    EXCHANGE,
    RESULT,
    CERTAIN,
    ARGUMENT,
    BEHAVIOUR,
    STATE,
    CODES,
    DECISION,
    ALTERNATIVE,
];

/// What `line_end` may be.
pub const LINE_ENDS: &[&str] = &["\r", "\n", "\r\n"];

/// Arguments of any step: which of several connections.
const LINK: &[&str] = &["link"];

/// Arguments of the steps that make up a connection; vendors divide them among configure, open and connect.
const SESSION: &[&str] = &[
    "host",
    "port",
    "scheme",
    "client",
    "username",
    "password",
    "will_flag",
    "will_qos",
    "will_retain",
    "will_topic",
    "will_message",
    "clean",
    "disable_clean",
    "keepalive",
    "reconnect",
    "cert",
    "ca",
    "path",
];

/// Arguments of the steps that send a packet about a topic; `id` is a packet id chosen by the host.
const TOPIC: &[&str] = &["id", "topic"];

const PAYLOAD: &[&str] = &["qos", "retain", "payload", "len"];

/// Every vendor-free step, in the order of a session.
pub const STEPS: &[StepFormat] = &[
    must_step("probe", "a command without effect that shows that the module is there", &[LINK]),
    may_step("identify", "model and firmware", &[LINK]),
    may_step("sim", "whether the SIM card is ready", &[LINK]),
    may_step("registration", "whether the network is found", &[LINK]),
    may_step("attachment", "whether data may be sent", &[LINK]),
    may_step("secure", "whether connections are TLS", &[LINK, &["tls"]]),
    may_step("configure", "what the connection will need", &[LINK, SESSION]),
    may_step("open", "opens TCP or TLS", &[LINK, SESSION]),
    must_step("connect", "MQTT CONNECT", &[LINK, SESSION]),
    may_step("subscribe", "SUBSCRIBE", &[LINK, TOPIC, &["qos"]]),
    may_step("unsubscribe", "UNSUBSCRIBE", &[LINK, TOPIC]),
    may_step("publish", "PUBLISH, payload in the command line", &[LINK, TOPIC, PAYLOAD]),
    may_step("publish-data", "PUBLISH, payload after a prompt", &[LINK, TOPIC, PAYLOAD]),
    may_step("message-mode", "whether messages are printed or cached", &[LINK, &["mode"]]),
    may_step("read-messages", "all cached messages", &[LINK]),
    may_step("read-message", "one cached message", &[LINK, &["slot"]]),
    may_step("status", "state of the connection", &[LINK]),
    may_step("subscriptions", "what is subscribed to", &[LINK]),
    may_step("error-state", "why the last command failed", &[LINK]),
    may_step("disconnect", "DISCONNECT", &[LINK]),
    may_step("close", "closes TCP or TLS", &[LINK]),
];

const fn must_step(
    name: &'static str,
    means: &'static str,
    arguments: &'static [&'static [&'static str]],
) -> StepFormat {
    StepFormat { name, required: true, means, arguments }
}

const fn may_step(
    name: &'static str,
    means: &'static str,
    arguments: &'static [&'static [&'static str]],
) -> StepFormat {
    StepFormat { name, required: false, means, arguments }
}

/// The whole format as text, for people who write a profile. `*` marks what has to be there.
pub fn describe() -> String {
    let mut out = String::new();
    let star = |required| if required { '*' } else { ' ' };
    let without = |key: &Key| {
        if key.without.is_empty() { String::new() } else { format!(" (without it: {})", key.without) }
    };
    for table in TABLES {
        let _ = writeln!(out, "{}: {}", table.heading, table.means);
        for key in table.keys {
            let _ = writeln!(
                out,
                "  {}{:<18} {:<52} {}{}",
                star(key.required),
                key.name,
                key.example,
                key.means,
                without(key)
            );
        }
        out.push('\n');
    }
    let _ = writeln!(out, "steps, and the arguments a command template may name (`{OWN_STEP}…` takes any):");
    for step in STEPS {
        let arguments = step.arguments().collect::<Vec<_>>().join(" ");
        let _ = writeln!(out, "  {}{:<18} {}\n    {arguments}", star(step.required), step.name, step.means);
    }
    out
}
