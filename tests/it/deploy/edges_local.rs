//! The proxy beside edges on one machine, as the README starts it.

use super::{path, read};
use crate::bed::process::command;

#[test]
fn haproxy_takes_the_files_that_the_readme_starts_it_with() {
    let line = "/usr/sbin/haproxy -f deploy/proxy/haproxy.cfg -f deploy/proxy/edges-local.cfg";
    assert!(read("README.md").contains(line), "it is started so");
    let mut words = line.split(' ');
    let mut haproxy = command(words.next().unwrap());
    let checked = haproxy.current_dir(path("")).arg("-c").args(words).output().unwrap();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));

    // The edges that it is told of are those that the README starts.
    let listeners: Vec<_> = read("README.md")
        .lines()
        .filter_map(|it| it.split_once("supportline ingest --listen ")?.1.split(' ').next())
        .filter(|it| it.starts_with("127."))
        .map(str::to_owned)
        .collect();
    assert_eq!(listeners.len(), 2);
    let edges = read("deploy/proxy/edges-local.cfg");
    assert!(read("README.md").contains("supportline desk --listen 127.0.0.1:8071"));
    assert!(edges.contains("server desk-1 127.0.0.1:8071 "));
    for listener in &listeners {
        assert_eq!(edges.matches(listener.as_str()).count(), 2, "in both sections: {listener}");
    }
}
