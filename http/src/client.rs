//! Whose request it is: the peer's, or, behind trusted proxies, that of the first address before
//! them. What a header says counts only as far as somebody trusted has written it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use common::{
    config::{AddressHeader, Limits},
    keys::{NumberKey, half, keyed_hash},
    ports::limits::PartitionKey,
};
use ipnet::IpNet;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// How the key for the addresses is derived. It is the same in every instance.
const PURPOSE: &str = "limits";

/// Who is at the other end of the connection. The server puts it among a request's extensions.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub SocketAddr);

/// Tells clients apart.
pub struct Clients {
    trusted: Vec<IpNet>,
    header: AddressHeader,
    key: [u8; 32],
}

/// Where the walk from the peer to the client led.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Walk {
    /// The client's address. IPv4 in IPv6 is IPv4.
    pub address: IpAddr,
    /// The peer, then the header's entries from the last to the first.
    pub hops: Vec<Hop>,
}

/// A station of the walk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hop {
    /// What the connection or the header says.
    pub said: String,
    /// What it was taken for.
    pub verdict: Verdict,
}

/// What a hop was taken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// A trusted proxy: what it wrote is believed.
    Proxy,
    /// The client.
    Client,
    /// No address: the walk ends with the hop before.
    Unreadable,
    /// Written by somebody who is not trusted.
    Disregarded,
}

impl Clients {
    /// As the settings say; keys are derived from the installation's secret.
    #[must_use]
    pub fn new(settings: &Limits, number_key: &NumberKey) -> Self {
        Self {
            trusted: settings.trusted_proxies.clone(),
            header: settings.address_header,
            key: number_key.derive(PURPOSE),
        }
    }

    /// Under which key a client is counted.
    #[must_use]
    pub fn partition_key(&self, address: IpAddr) -> PartitionKey {
        let hash = match address {
            IpAddr::V4(address) => keyed_hash(&self.key, &[b"4", &address.octets()]),
            IpAddr::V6(address) => keyed_hash(&self.key, &[b"6", &address.octets()[..8]]),
        };
        PartitionKey::new(half(hash))
    }

    /// The header that is believed, and the proxies that are.
    #[must_use]
    pub fn trust(&self) -> (AddressHeader, &[IpNet]) {
        (self.header, &self.trusted)
    }

    /// Walks from the peer over trusted proxies only, and so from the end of the header to its
    /// beginning: each proxy appends whom it was asked by.
    #[must_use]
    pub fn walk(&self, peer: Option<&Peer>, headers: &HeaderMap) -> Walk {
        let peer = peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |Peer(peer)| peer.ip());
        let mut address = peer.to_canonical();
        let mut is_believed = self.is_trusted(address);
        let verdict = if is_believed { Verdict::Proxy } else { Verdict::Client };
        let mut hops = vec![Hop { said: address.to_string(), verdict }];
        for Entry { said, address: named } in self.entries(headers).into_iter().rev() {
            let verdict = match (is_believed, named) {
                (false, _) => Verdict::Disregarded,
                (true, None) => Verdict::Unreadable,
                (true, Some(next)) => {
                    address = next;
                    if self.is_trusted(next) { Verdict::Proxy } else { Verdict::Client }
                }
            };
            is_believed &= verdict == Verdict::Proxy;
            hops.push(Hop { said, verdict });
        }
        Walk { address, hops }
    }

    fn is_trusted(&self, address: IpAddr) -> bool {
        self.trusted.iter().any(|network| network.contains(&address))
    }

    /// What the header names, all of its lines in their order. What cannot be read stays as it is:
    /// it must end the walk, and not be passed over.
    fn entries(&self, headers: &HeaderMap) -> Vec<Entry> {
        let name = match self.header {
            AddressHeader::XForwardedFor => X_FORWARDED_FOR,
            AddressHeader::Forwarded => header::FORWARDED,
        };
        let lines = headers.get_all(name).iter().map(HeaderValue::as_bytes);
        let lines = lines.map(|line| String::from_utf8_lossy(line).into_owned());
        match self.header {
            AddressHeader::XForwardedFor => {
                lines.flat_map(|line| line.split(',').map(Entry::of).collect::<Vec<_>>()).collect()
            }
            AddressHeader::Forwarded => lines.flat_map(|line| forwarded(&line)).collect(),
        }
    }
}

/// What a header names once, and the address, if it is one.
struct Entry {
    said: String,
    address: Option<IpAddr>,
}

impl Entry {
    fn of(node: &str) -> Self {
        let node = trimmed(node);
        Self { address: parse(&node), said: node }
    }
}

/// What a client is counted as: its address, of IPv6 the network of 64 bits. One customer of a
/// provider has all of such a network, and could come from another address each time.
#[must_use]
pub fn counted_as(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => {
            let network = Ipv6Addr::from_bits(address.to_bits() >> 64 << 64);
            format!("{network}/64")
        }
    }
}

fn trimmed(text: &str) -> String {
    text.trim_matches([' ', '\t']).to_owned()
}

/// An address as proxies write it: bare, with a port, or in brackets.
fn parse(text: &str) -> Option<IpAddr> {
    let address = match text.strip_prefix('[') {
        Some(rest) => {
            let (address, port) = rest.split_once(']')?;
            (port.is_empty() || is_port(port.strip_prefix(':')?)).then_some(())?;
            IpAddr::V6(address.parse().ok()?)
        }
        None => text.parse().ok().or_else(|| {
            let (address, _port) = text.split_once(':').filter(|(_, port)| is_port(port))?;
            Some(IpAddr::V4(address.parse().ok()?))
        })?,
    };
    Some(address.to_canonical())
}

/// A number, or an obfuscated identifier (RFC 7239, 6.3).
fn is_port(text: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    match text.strip_prefix('_') {
        Some(name) => !name.is_empty() && name.bytes().all(is_part),
        None => (1..=5).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit()),
    }
}

/// Whom each element of a line of `Forwarded` is for (RFC 7239). A line with a quote that does not
/// end is one entry and no address: what follows the quote may be somebody trusted's, and must not
/// be taken for a part of what an untrusted one wrote, nor the other way round.
fn forwarded(line: &str) -> Vec<Entry> {
    if !quotes_end(line) {
        return vec![Entry { said: line.to_owned(), address: None }];
    }
    let node = |element: &str| {
        let pairs = split_unquoted(element, ';').filter_map(|pair| pair.split_once('='));
        let mut nodes = pairs.filter(|(name, _)| trimmed(name).eq_ignore_ascii_case("for"));
        match (nodes.next().and_then(|(_, value)| unquoted(&trimmed(value))), nodes.next()) {
            (Some(node), None) => Entry::of(&node),
            _ => Entry { said: trimmed(element), address: None },
        }
    };
    split_unquoted(line, ',').map(node).collect()
}

/// Splits where the separator stands outside a quoted string.
pub fn split_unquoted(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let (mut quoted, mut escaped) = (false, false);
    text.split(move |c| {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ => {}
        }
        c == separator && !quoted
    })
}

fn quotes_end(text: &str) -> bool {
    let (mut quoted, mut escaped) = (false, false);
    for c in text.chars() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ => {}
        }
    }
    !quoted
}

/// A token, or what stands in a quoted string, if the text is just that.
fn unquoted(text: &str) -> Option<String> {
    let Some(rest) = text.strip_prefix('"') else {
        return (!text.contains('"')).then(|| text.to_owned());
    };
    let (mut inside, mut rest) = (String::new(), rest.chars());
    loop {
        match rest.next()? {
            '"' => return rest.next().is_none().then_some(inside),
            '\\' => inside.push(rest.next()?),
            c => inside.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clients(header: AddressHeader) -> Clients {
        let settings = Limits {
            trusted_proxies: ["10.0.0.0/8", "fd00::/8"].map(|it| it.parse().unwrap()).into(),
            address_header: header,
            create: None,
            lookup: None,
            stats: None,
            attempts: None,
            guesses: None,
        };
        Clients::new(&settings, &NumberKey::from_hex(&"42".repeat(32)).unwrap())
    }

    /// The client's address and what each hop was taken for, by its initial.
    fn walk(header: AddressHeader, peer: &str, lines: &[&[u8]]) -> String {
        let mut headers = HeaderMap::new();
        let (ours, other) = match header {
            AddressHeader::XForwardedFor => (X_FORWARDED_FOR, header::FORWARDED),
            AddressHeader::Forwarded => (header::FORWARDED, X_FORWARDED_FOR),
        };
        for line in lines {
            headers.append(&ours, HeaderValue::from_bytes(line).unwrap());
        }
        headers.append(other, HeaderValue::from_static("for=6.6.6.6, 6.6.6.6"));
        let peer = Peer(SocketAddr::new(peer.parse().unwrap(), 50_000));
        let Walk { address, hops } = clients(header).walk(Some(&peer), &headers);
        let initial = |hop: &Hop| format!("{:?}", hop.verdict).remove(0);
        format!("{address} {}", hops.iter().map(initial).collect::<String>())
    }

    #[test]
    fn x_forwarded_for_is_walked_from_its_end_over_trusted_proxies_only() {
        let table: &[(&str, &[&[u8]], &str)] = &[
            ("192.0.2.1", &[], "192.0.2.1 C"),
            ("192.0.2.1", &[b"1.2.3.4"], "192.0.2.1 CD"),
            ("192.0.2.1", &[b"1.2.3.4, 10.0.0.1"], "192.0.2.1 CDD"),
            ("10.0.0.1", &[], "10.0.0.1 P"),
            ("10.0.0.1", &[b"1.2.3.4"], "1.2.3.4 PC"),
            ("10.0.0.1", &[b"6.6.6.6, 1.2.3.4"], "1.2.3.4 PCD"),
            ("10.0.0.1", &[b"6.6.6.6", b"1.2.3.4"], "1.2.3.4 PCD"),
            ("10.0.0.1", &[b"6.6.6.6", b"1.2.3.4, 10.9.9.9"], "1.2.3.4 PPCD"),
            ("10.0.0.1", &[b"10.0.0.3,10.0.0.2"], "10.0.0.3 PPP"),
            ("10.0.0.1", &[b"1.2.3.4, rubbish, 10.0.0.2"], "10.0.0.2 PPUD"),
            ("10.0.0.1", &[b"1.2.3.4, unknown"], "10.0.0.1 PUD"),
            ("10.0.0.1", &[b"1.2.3.4, _hidden"], "10.0.0.1 PUD"),
            ("10.0.0.1", &[b"1.2.3.4, "], "10.0.0.1 PUD"),
            ("10.0.0.1", &[b"1.2.3.4, \xff"], "10.0.0.1 PUD"),
            ("10.0.0.1", &[b"1.2.3.4:5678"], "1.2.3.4 PC"),
            ("10.0.0.1", &[b"\t1.2.3.4 "], "1.2.3.4 PC"),
            ("10.0.0.1", &[b"[2001:db8::1]:443"], "2001:db8::1 PC"),
            ("10.0.0.1", &[b"[2001:db8::1]"], "2001:db8::1 PC"),
            ("10.0.0.1", &[b"2001:db8::1"], "2001:db8::1 PC"),
            ("10.0.0.1", &[b"::ffff:1.2.3.4"], "1.2.3.4 PC"),
            ("10.0.0.1", &[b"[::ffff:10.0.0.9]:1, 10.0.0.2"], "10.0.0.9 PPP"),
            ("::ffff:10.0.0.1", &[b"1.2.3.4"], "1.2.3.4 PC"),
            ("::ffff:192.0.2.1", &[b"1.2.3.4"], "192.0.2.1 CD"),
            ("fd00::1", &[b"1.2.3.4"], "1.2.3.4 PC"),
            ("10.0.0.1", &[b"fe80::1%eth0"], "10.0.0.1 PU"),
            ("10.0.0.1", &[b"1.2.3"], "10.0.0.1 PU"),
            ("10.0.0.1", &[b"01.2.3.4"], "10.0.0.1 PU"),
            ("10.0.0.1", &[b"1.2.3.4:"], "10.0.0.1 PU"),
            ("10.0.0.1", &[b"[2001:db8::1]x"], "10.0.0.1 PU"),
            ("10.0.0.1", &[b"\"1.2.3.4\""], "10.0.0.1 PU"),
        ];
        for (peer, lines, expected) in table {
            let led = walk(AddressHeader::XForwardedFor, peer, lines);
            assert_eq!(
                led,
                *expected,
                "{peer} {:?}",
                lines.iter().map(|it| it.escape_ascii().to_string()).collect::<Vec<_>>()
            );
        }
    }

    #[test]
    fn forwarded_is_walked_alike_and_quotes_hide_nobody() {
        let table: &[(&[&[u8]], &str)] = &[
            (&[b"for=1.2.3.4"], "1.2.3.4 PC"),
            (&[b"For=1.2.3.4;proto=https;by=10.0.0.1"], "1.2.3.4 PC"),
            (&[b"for=6.6.6.6, for=1.2.3.4"], "1.2.3.4 PCD"),
            (&[b"for=6.6.6.6", b"for=1.2.3.4, for=10.0.0.2"], "1.2.3.4 PPCD"),
            (&[b"for=\"[2001:db8::1]:80\";proto=https"], "2001:db8::1 PC"),
            (&[b"for=\"[2001:db8::1]:_obf\""], "2001:db8::1 PC"),
            (&[b"for=\"1.2.3.4:5678\""], "1.2.3.4 PC"),
            (&[b"for=\"1.2\\.3.4\""], "1.2.3.4 PC"),
            (&[b"proto=\"a,b;for=6.6.6.6\";for=1.2.3.4"], "1.2.3.4 PC"),
            (&[b"for=1.2.3.4, for=unknown"], "10.0.0.1 PUD"),
            (&[b"for=1.2.3.4, for=_secret"], "10.0.0.1 PUD"),
            (&[b"for=1.2.3.4, proto=https"], "10.0.0.1 PUD"),
            (&[b"for=1.2.3.4;for=6.6.6.6"], "10.0.0.1 PU"),
            (&[b"1.2.3.4"], "10.0.0.1 PU"),
            // An open quote swallows nobody, whoever appends to it, and in whatever way.
            (&[b"for=6.6.6.6;x=\", for=1.2.3.4"], "10.0.0.1 PU"),
            (&[b"for=6.6.6.6;x=\", for=\"[2001:db8::1]:80\""], "10.0.0.1 PU"),
            (&[b"for=6.6.6.6;x=\"", b"for=1.2.3.4"], "1.2.3.4 PCD"),
            (&[b"for=6.6.6.6;x=\"\\\", for=1.2.3.4"], "10.0.0.1 PU"),
        ];
        for (lines, expected) in table {
            let led = walk(AddressHeader::Forwarded, "10.0.0.1", lines);
            assert_eq!(
                led,
                *expected,
                "{:?}",
                lines.iter().map(|it| it.escape_ascii().to_string()).collect::<Vec<_>>()
            );
        }
    }

    #[test]
    fn forged_headers_of_an_untrusted_peer_change_nothing() {
        let keys = (0..5_000_u32).map(|number| {
            let mut headers = HeaderMap::new();
            let forged = Ipv4Addr::from_bits(number * 858_993).to_string();
            headers.append(X_FORWARDED_FOR, HeaderValue::try_from(forged).unwrap());
            let clients = clients(AddressHeader::XForwardedFor);
            let peer = Peer("192.0.2.1:50000".parse().unwrap());
            clients.partition_key(clients.walk(Some(&peer), &headers).address)
        });
        assert_eq!(keys.collect::<std::collections::HashSet<_>>().len(), 1);
    }

    #[test]
    fn all_addresses_of_a_64_bit_network_are_one_client() {
        let clients = clients(AddressHeader::XForwardedFor);
        let network = "2001:db8:0:1::".parse::<Ipv6Addr>().unwrap().to_bits();
        let key = |bits| clients.partition_key(IpAddr::V6(Ipv6Addr::from_bits(bits)));
        let all = (0..65_536_u128).map(|number| key(network + (number << 48) + number));
        assert_eq!(all.collect::<std::collections::HashSet<_>>().len(), 1);
        assert_ne!(key(network), key(network + (1 << 64)));
        assert_eq!(counted_as(IpAddr::V6(Ipv6Addr::from_bits(network + 7))), "2001:db8:0:1::/64");
        assert_eq!(counted_as("192.0.2.1".parse().unwrap()), "192.0.2.1");
    }
}
