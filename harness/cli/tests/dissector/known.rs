//! The known disagreements, each with the statement of MQTT 3.1.1 that proves us right.

use std::collections::BTreeSet;

use atspec_model::mqtt::{Level, Packet};

use super::Opinion;

/// A known disagreement.
#[derive(Debug)]
pub(crate) struct Known {
    /// The statements that are broken (a section, where the standard numbers none).
    pub(crate) clauses: &'static [&'static str],
    /// What Wireshark does.
    pub(crate) why: &'static str,
}

/// Packets that break these statements, and that Wireshark shows as if they were well.
pub(crate) const UNCHECKED: &[Known] = &[
    Known {
        clauses: &["MQTT-2.2.1"],
        why: "shows type 0 as reserved and type 15 as AUTH, which is of MQTT 5",
    },
    Known {
        clauses: &["MQTT-2.2.2-1", "MQTT-3.6.1-1", "MQTT-3.8.1-1", "MQTT-3.10.1-1", "MQTT-3.14.1-1"],
        why: "shows the reserved flags and does not compare them",
    },
    Known {
        clauses: &["MQTT-2.2.3"],
        why: "reads a Remaining Length of up to ten bytes, and bytes behind the packet as a further packet",
    },
    Known { clauses: &["MQTT-2.3.1", "MQTT-2.3.1-1"], why: "takes packet identifier 0 like any other" },
    Known {
        clauses: &[
            "MQTT-1.5.3-1",
            "MQTT-3.1.3-4",
            "MQTT-3.1.3-10",
            "MQTT-3.1.3-11",
            "MQTT-3.3.2-1",
            "MQTT-3.8.3-1",
            "MQTT-3.10.3-1",
        ],
        why: "shows ill-formed UTF-8 with replacement characters",
    },
    Known { clauses: &["MQTT-1.5.3-2", "MQTT-4.7.3-2"], why: "takes U+0000 like any other character" },
    Known {
        clauses: &["MQTT-3.3.2-2", "MQTT-4.7.1-1", "MQTT-4.7.1-2", "MQTT-4.7.1-3"],
        why: "knows no wildcards",
    },
    Known { clauses: &["MQTT-4.7.3-1"], why: "notes an empty topic, but no empty will topic" },
    Known {
        clauses: &[
            "MQTT-3.2.1",
            "MQTT-3.4.1",
            "MQTT-3.5.1",
            "MQTT-3.6.1",
            "MQTT-3.7.1",
            "MQTT-3.11.1",
            "MQTT-3.12.1",
            "MQTT-3.13.1",
            "MQTT-3.14.1",
        ],
        why: "ignores what follows the fields of a packet of fixed size",
    },
    Known {
        clauses: &["MQTT-3.1.2-1", "MQTT-3.1.2-2"],
        why: "reads a CONNECT of any protocol name and level",
    },
    Known {
        clauses: &[
            "MQTT-3.1.2-3",
            "MQTT-3.1.2-11",
            "MQTT-3.1.2-13",
            "MQTT-3.1.2-14",
            "MQTT-3.1.2-15",
            "MQTT-3.1.2-22",
        ],
        why: "shows each connect flag by itself",
    },
    Known {
        clauses: &["MQTT-3.1.2-19", "MQTT-3.1.2-21"],
        why: "leaves out user name and password where CONNECT ends before them",
    },
    Known {
        clauses: &["MQTT-3.1.2-18", "MQTT-3.1.2-20", "MQTT-3.1.3"],
        why: "ignores what follows the fields that the connect flags announce",
    },
    Known { clauses: &["MQTT-3.1.3-7"], why: "takes an empty client identifier with Clean Session 0" },
    Known {
        clauses: &["MQTT-3.2.2-4", "MQTT-3.2.2.1", "MQTT-3.2.2.3"],
        why: "shows flags and return code of CONNACK by themselves, also reserved ones",
    },
    Known { clauses: &["MQTT-3.3.1-2", "MQTT-4.3.1-1"], why: "shows DUP and QoS by themselves" },
    Known { clauses: &["MQTT-3.3.1-4", "MQTT-3-8.3-4"], why: "shows QoS 3 as reserved" },
    Known { clauses: &["MQTT-3.8.3-3", "MQTT-3.9.3", "MQTT-3.10.3-2"], why: "takes lists without an entry" },
    Known { clauses: &["MQTT-3.9.3-2"], why: "shows unknown return codes of SUBACK as unknown" },
];

/// A packet of which Wireshark reads more than we do.
#[derive(Debug)]
pub(crate) struct ReadOn {
    /// What is wrong with it, as the decoder says.
    pub(crate) violation: &'static str,
    /// The statement that is broken by it.
    pub(crate) clause: &'static str,
    /// What Wireshark does.
    pub(crate) why: &'static str,
}

const TOO_LONG: ReadOn = ReadOn {
    violation: "Remaining Length goes on after its fourth byte",
    clause: "MQTT-2.2.3",
    why: "reads the fields behind a Remaining Length of five bytes",
};
const LEVEL_5: ReadOn = ReadOn {
    violation: "protocol level is not 4: 5",
    clause: "MQTT-3.1.2-2",
    why: "reads the payload of a CONNECT of level 5, which has another layout",
};
const BEHIND: ReadOn = ReadOn {
    violation: "longer than its Remaining Length says",
    clause: "MQTT-2.2.3",
    why: "takes bytes behind the packet as a further packet",
};

impl ReadOn {
    /// Its name, where the packet is such a one.
    fn applies(&self, packet: &Packet) -> Option<&'static str> {
        let told = |what: &str| {
            what.strip_prefix(self.violation)
                .is_some_and(|rest| matches!(rest.as_bytes().first(), None | Some(b':')))
        };
        packet.violations.iter().any(|v| v.clause == self.clause && told(&v.what)).then_some(self.violation)
    }
}

/// Everything that is known, by name.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    let unchecked = UNCHECKED.iter().flat_map(|row| row.clauses).copied();
    unchecked.chain([TOO_LONG, LEVEL_5, BEHIND].map(|row| row.violation))
}

impl Difference {
    /// The known disagreement that it is, by name.
    fn explained(&self, packet: &Packet) -> Option<&'static str> {
        let mut unchecked = UNCHECKED.iter().flat_map(|row| row.clauses).copied();
        match self {
            Self::Unchecked(clause) => unchecked.find(|known| known == clause),
            Self::Malformed | Self::Head(_) => None,
            Self::Packets(_) => BEHIND.applies(packet),
            Self::Field(..) => TOO_LONG.applies(packet).or_else(|| LEVEL_5.applies(packet)),
        }
    }
}

/// A difference that no row explains.
#[derive(Debug)]
pub(crate) struct Unexplained {
    /// The sort of difference, the same for many packets.
    pub(crate) sort: String,
    /// This one.
    pub(crate) here: String,
}

/// The entries of the tables that explain the differences of two opinions, and what none explains.
pub(crate) fn explain(
    packet: &Packet,
    ours: &Opinion,
    theirs: &Opinion,
) -> (Vec<&'static str>, Vec<Unexplained>) {
    let (mut used, mut unexplained) = (Vec::new(), Vec::new());
    for difference in differences(packet, ours, theirs) {
        match difference.explained(packet) {
            Some(known) => used.push(known),
            None => unexplained.push(difference.into()),
        }
    }
    (used, unexplained)
}

/// One thing that is seen otherwise.
#[derive(Debug)]
enum Difference {
    /// Breaks this statement, and Wireshark says nothing.
    Unchecked(&'static str),
    /// Well-formed, and Wireshark cannot read it.
    Malformed,
    /// Another number of packets.
    Packets(String),
    /// Another type, or other flags.
    Head(String),
    /// Other values of a field.
    Field(&'static str, String),
}

fn differences(packet: &Packet, ours: &Opinion, theirs: &Opinion) -> Vec<Difference> {
    let mut found = Vec::new();
    match (ours.malformed, theirs.malformed) {
        (true, false) => {
            let broken = packet.violations.iter().filter(|v| v.level == Level::Must).map(|v| v.clause);
            let broken: BTreeSet<&'static str> = broken.collect();
            found.extend(broken.into_iter().map(Difference::Unchecked));
        }
        (false, true) => found.push(Difference::Malformed),
        _ => {}
    }
    // What Wireshark cannot read at all it does not show.
    if !(theirs.malformed && theirs.packets == 0) {
        let differ =
            |own: String, other: String| (own != other).then(|| format!("{own}, for Wireshark {other}"));
        let packets = |o: &Opinion| format!("{} packets", o.packets);
        let head = |o: &Opinion| format!("type {:?}, flags {:?}", o.kind, o.flags);
        found.extend(differ(packets(ours), packets(theirs)).map(Difference::Packets));
        found.extend(differ(head(ours), head(theirs)).map(Difference::Head));
    }
    // Of what it cannot read to the end Wireshark shows the beginning.
    let broken_off = ours.malformed && theirs.malformed;
    let names: BTreeSet<&'static str> = ours.fields.keys().chain(theirs.fields.keys()).copied().collect();
    for name in names {
        let [own, other] = [ours, theirs].map(|o| o.fields.get(name).map_or(&[][..], Vec::as_slice));
        if own != other && !(broken_off && own.starts_with(other)) {
            found.push(Difference::Field(name, format!("{own:?}, for Wireshark {other:?}")));
        }
    }
    found
}

impl From<Difference> for Unexplained {
    fn from(difference: Difference) -> Self {
        let (sort, here) = match difference {
            Difference::Unchecked(clause) => {
                (format!("breaks {clause}, Wireshark says nothing"), String::new())
            }
            Difference::Malformed => ("well-formed, malformed for Wireshark".to_owned(), String::new()),
            Difference::Packets(here) => ("another number of packets".to_owned(), here),
            Difference::Head(here) => ("another type, or other flags".to_owned(), here),
            Difference::Field(name, here) => (format!("another {name}"), here),
        };
        Self { sort, here }
    }
}
