//! Whose address is counted when the request comes through the proxy: asked of the edge itself.

use std::net::{Ipv4Addr, SocketAddr};

use super::visitor::Visitor;

/// The proxy of somebody else, in front of the one under test.
pub const FRONT: Visitor = Visitor(Ipv4Addr::new(127, 98, 0, 1));
const TOKEN: &str = "authorization: Bearer example0admin0token\r\n";

async fn counted(visitor: Visitor, proxy: SocketAddr, headers: &str) -> String {
    let seen = visitor.get(proxy, "/api/support/whoami", &format!("{TOKEN}{headers}")).await;
    assert_eq!(seen.status, 200, "{seen:?}");
    seen.json()["data"]["address"].as_str().unwrap().to_owned()
}

/// Fails the test where the proxy's word does not arrive, or a stranger's does.
pub async fn are_counted_as_the_proxy_sees_them(proxy: SocketAddr) {
    let visitor = Visitor::number(50_003);
    let own = visitor.0.to_string();
    for forged in [
        "",
        "x-forwarded-for: 203.0.113.7\r\n",
        "x-forwarded-for: 203.0.113.7\r\nx-forwarded-for: 127.0.0.1\r\n",
        "x-forwarded-for: 203.0.113.7, 127.0.0.1, 127.98.0.1\r\n",
        "forwarded: for=203.0.113.7\r\n",
        "x-real-ip: 203.0.113.7\r\n",
        "x-client-ip: 203.0.113.7\r\n",
    ] {
        assert_eq!(counted(visitor, proxy, forged).await, own, "{forged}");
    }
    // Whoever comes from where the proxy itself is, as all do whom Docker's gateway sends on, could
    // name an address and be believed by the edge.
    let inside = Visitor(Ipv4Addr::LOCALHOST);
    assert_eq!(counted(inside, proxy, "x-forwarded-for: 203.0.113.7\r\n").await, "127.0.0.1");
    // The one in FRONT_PROXY is believed, as far as it tells of somebody who is not.
    let chain = "x-forwarded-for: 198.51.100.9, 203.0.113.7\r\n";
    assert_eq!(counted(FRONT, proxy, chain).await, "203.0.113.7");
    let forged = "forwarded: for=198.51.100.9\r\nx-forwarded-for: 203.0.113.7\r\n";
    assert_eq!(counted(FRONT, proxy, forged).await, "203.0.113.7");
}
