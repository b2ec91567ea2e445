//! rumqttd cannot tell on which port it listens, so it listens on none: the tap's is the only listener of a bench.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test panics to fail")]

use std::{collections::BTreeSet, fs};

use atspec_model::partner::Settings;
use atspec_rig::{broker::Upstream, record::Recorder, tap::Tap};

/// The TCP ports on which this process listens.
fn listening() -> BTreeSet<u16> {
    let links =
        fs::read_dir("/proc/self/fd").unwrap().filter_map(|fd| fs::read_link(fd.unwrap().path()).ok());
    let own: BTreeSet<String> = links.map(|link| link.to_string_lossy().into_owned()).collect();
    let tables = ["/proc/self/net/tcp", "/proc/self/net/tcp6"]
        .map(|path| fs::read_to_string(path).unwrap_or_default());
    let rows = tables.iter().flat_map(|table| table.lines().skip(1));
    let port = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (local, state, inode) = (fields[1], fields[3], fields[9]);
        let port = u16::from_str_radix(local.rsplit_once(':').unwrap().1, 16).unwrap();
        (state == "0A" && own.contains(&format!("socket:[{inode}]"))).then_some(port)
    };
    rows.filter_map(port).collect()
}

#[tokio::test]
async fn cannot_tell_its_port() {
    let upstreams: Vec<Upstream> = (0..3).map(|_| Upstream::embedded().unwrap()).collect();
    assert_eq!(listening(), BTreeSet::new());
    let mut taps = Vec::new();
    for upstream in upstreams {
        taps.push(Tap::listen("127.0.0.1:0", Settings::default(), upstream, Recorder::new()).await.unwrap());
    }
    let told: BTreeSet<u16> = taps.iter().map(|tap| tap.local_addr().port()).collect();
    assert_eq!(listening(), told);
}
