//! Query strings.

/// What a parameter was given as, each time that it was given.
pub fn values<'a>(query: &'a str, name: &'static str) -> impl Iterator<Item = &'a str> {
    let pairs = query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    pairs.filter_map(move |(given, value)| (given == name).then_some(value))
}
