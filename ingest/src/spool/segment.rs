//! What a segment of the spool looks like on disk, and what can be read of one that is damaged.
//!
//! A segment begins with the letters `SUPSPOOL` and the version of the format, and goes on with
//! records, an envelope each. All numbers are little-endian:
//!
//! ```text
//! "SUBM"  body bytes: u32  submissions: u32  spooled at, Unix ms: i64  CRC-32 of the body
//!         CRC-32 of all this  body
//! ```
//!
//! The head has a sum of its own, so that a length that is damaged is not taken for one that leads
//! behind the end: what follows would be given up with it.

use bytes::Bytes;
use common::envelope;
use thiserror::Error;

const LETTERS: [u8; 8] = *b"SUPSPOOL";
const VERSION: u32 = 1;
const RECORD_LETTERS: [u8; 4] = *b"SUBM";

/// How every segment begins.
pub const OPENING_BYTES: usize = LETTERS.len() + 4;
const HEAD_BYTES: usize = 28;

/// Written by a later release, which reads it: it is none of this one's business.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("version {0} of the format, this release reads {VERSION}")]
pub struct UnknownVersion(u32);

/// An envelope, as it was spooled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    pub submissions: u32,
    pub spooled_at_ms: i64,
    pub body: Bytes,
}

/// What was read of a segment.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Content {
    /// In the order in which they were spooled.
    pub records: Vec<Record>,
    /// At the end, of a record that was never written to its end, and so never answered for.
    pub torn_bytes: usize,
    /// Anywhere else: these may have been somebody's submissions.
    pub damaged_bytes: usize,
}

/// The first bytes of a segment.
pub fn opening() -> [u8; OPENING_BYTES] {
    let mut opening = [0; OPENING_BYTES];
    opening[..LETTERS.len()].copy_from_slice(&LETTERS);
    opening[LETTERS.len()..].copy_from_slice(&VERSION.to_le_bytes());
    opening
}

impl Record {
    /// How much of a segment it takes.
    pub fn bytes(&self) -> u64 {
        (HEAD_BYTES + self.body.len()) as u64
    }

    /// Writes it down.
    pub fn encode(&self, into: &mut Vec<u8>) {
        let start = into.len();
        into.extend_from_slice(&RECORD_LETTERS);
        // An envelope is of a mebibyte at most.
        into.extend_from_slice(&u32::try_from(self.body.len()).unwrap_or(u32::MAX).to_le_bytes());
        into.extend_from_slice(&self.submissions.to_le_bytes());
        into.extend_from_slice(&self.spooled_at_ms.to_le_bytes());
        into.extend_from_slice(&crc32fast::hash(&self.body).to_le_bytes());
        let sum = crc32fast::hash(&into[start..]);
        into.extend_from_slice(&sum.to_le_bytes());
        into.extend_from_slice(&self.body);
    }
}

/// What a record's head says of it.
struct Head {
    body_bytes: usize,
    submissions: u32,
    spooled_at_ms: i64,
    body_sum: u32,
}

impl Head {
    /// The head that these bytes begin with, if they begin with one.
    fn of(bytes: &[u8]) -> Option<Self> {
        let (head, _) = bytes.split_first_chunk::<HEAD_BYTES>()?;
        let (said, sum) = head.split_last_chunk()?;
        if !said.starts_with(&RECORD_LETTERS) || crc32fast::hash(said) != u32::from_le_bytes(*sum) {
            return None;
        }
        let number = |at: usize| said[at..].first_chunk().copied().map(u32::from_le_bytes);
        let body_bytes = usize::try_from(number(4)?).ok()?;
        (body_bytes <= envelope::BODY_BYTES_MAX).then_some(Self {
            body_bytes,
            submissions: number(8)?,
            spooled_at_ms: i64::from_le_bytes(*said[12..].first_chunk()?),
            body_sum: number(20)?,
        })
    }
}

/// The record that begins at `at`, and where it ends.
fn record_at(bytes: &Bytes, at: usize) -> Option<(Record, usize)> {
    let Head { body_bytes, submissions, spooled_at_ms, body_sum } = Head::of(&bytes[at..])?;
    let (start, end) = (at + HEAD_BYTES, at + HEAD_BYTES + body_bytes);
    if end > bytes.len() || crc32fast::hash(&bytes[start..end]) != body_sum {
        return None;
    }
    Some((Record { submissions, spooled_at_ms, body: bytes.slice(start..end) }, end))
}

/// Whether a write that was cut short can have left this at the end: it writes from the front to the
/// back, or has made room and not filled it.
fn is_torn(rest: &[u8]) -> bool {
    rest.len() < HEAD_BYTES
        || rest.iter().all(|byte| *byte == 0)
        || Head::of(rest).is_some_and(|head| HEAD_BYTES + head.body_bytes > rest.len())
}

/// Reads a segment. Only the newest one, which was written to when its edge ended, can be torn.
pub fn read(bytes: &Bytes, is_newest: bool) -> Result<Content, UnknownVersion> {
    let mut content = Content::default();
    let mut at = 0;
    if let Some((opening, _)) = bytes.split_first_chunk::<OPENING_BYTES>()
        && let Some(version) = opening.strip_prefix(&LETTERS).and_then(|rest| rest.first_chunk())
    {
        let version = u32::from_le_bytes(*version);
        if version != VERSION {
            return Err(UnknownVersion(version));
        }
        at = OPENING_BYTES;
    }
    while at < bytes.len() {
        if let Some((record, end)) = record_at(bytes, at) {
            content.records.push(record);
            at = end;
        } else if is_newest && is_torn(&bytes[at..]) {
            content.torn_bytes = bytes.len() - at;
            at = bytes.len();
        } else {
            // On to whatever is sound behind it.
            let next = (at + 1..bytes.len()).find(|at| record_at(bytes, *at).is_some());
            let end = next.unwrap_or(bytes.len());
            content.damaged_bytes += end - at;
            at = end;
        }
    }
    Ok(content)
}

#[cfg(test)]
mod tests {
    use common::keys::unhex;

    use super::*;

    fn record(number: u32) -> Record {
        let body = format!("{{\"number\":{number},\"text\":\"SUBM and more\"}}").into();
        Record { submissions: number, spooled_at_ms: -7, body }
    }

    fn segment(count: u32) -> Vec<u8> {
        let mut bytes = opening().to_vec();
        (1..=count).for_each(|number| record(number).encode(&mut bytes));
        bytes
    }

    fn read_all(bytes: &[u8]) -> Content {
        read(&Bytes::copy_from_slice(bytes), true).unwrap()
    }

    #[test]
    fn what_is_written_is_read_in_order() {
        let bytes = segment(3);
        let content = read_all(&bytes);
        assert_eq!(content.records, [record(1), record(2), record(3)]);
        assert_eq!((content.torn_bytes, content.damaged_bytes), (0, 0));
        let length = OPENING_BYTES as u64 + (1..=3).map(|it| record(it).bytes()).sum::<u64>();
        assert_eq!(bytes.len() as u64, length);
    }

    /// What lies on somebody's disk was written by an earlier release, or by a later one that was
    /// taken back. The bytes are not this code's: they were put together from the description above.
    #[test]
    fn the_format_on_disk_is_what_it_was() {
        let body = Bytes::from_static(br#"{"v":1,"submissions":[]}"#);
        let expected = Record { submissions: 2, spooled_at_ms: 1_764_000_000_000, body };
        let head = "5355424d180000000200000000e897b69a010000cb03879d69bed2bb";
        let mut golden = unhex::<OPENING_BYTES>("53555053504f4f4c01000000").unwrap().to_vec();
        golden.extend(unhex::<HEAD_BYTES>(head).unwrap());
        golden.extend_from_slice(&expected.body);
        assert_eq!(read_all(&golden).records.as_slice(), std::slice::from_ref(&expected));
        let mut written = opening().to_vec();
        expected.encode(&mut written);
        assert_eq!(written, golden);
    }

    #[test]
    fn a_tail_torn_at_any_byte_is_told_from_the_rest() {
        let (two, three) = (segment(2), segment(3));
        for length in two.len() + 1..three.len() {
            let content = read_all(&three[..length]);
            assert_eq!(content.records, [record(1), record(2)], "{length}");
            assert_eq!((content.torn_bytes, content.damaged_bytes), (length - two.len(), 0));
        }
        let room = [two.as_slice(), &[0; 100]].concat();
        assert_eq!(read_all(&room).torn_bytes, 100);
        for length in 0..OPENING_BYTES {
            let content = read_all(&two[..length]);
            assert_eq!((content.torn_bytes, content.damaged_bytes), (length, 0));
        }
    }

    #[test]
    fn only_the_newest_segment_can_be_torn() {
        let three = Bytes::from(segment(3));
        let content = read(&three.slice(..three.len() - 1), false).unwrap();
        assert_eq!(content.records.len(), 2);
        assert_eq!(
            (content.torn_bytes, content.damaged_bytes),
            (0, three.len() - segment(2).len() - 1)
        );
    }

    #[test]
    fn a_bit_flipped_anywhere_costs_no_other_record_and_is_seen() {
        let sound = segment(3);
        let ends: Vec<_> = (1..=3).map(|count| segment(count).len()).collect();
        for at in (0..sound.len()).filter(|at| !(LETTERS.len()..OPENING_BYTES).contains(at)) {
            let mut bytes = sound.clone();
            bytes[at] ^= 0x40;
            let content = read_all(&bytes);
            let spoilt = ends.iter().position(|end| at < *end).unwrap();
            let is_opening = at < OPENING_BYTES;
            let expected: Vec<_> = (0..3)
                .filter(|index| is_opening || *index != spoilt)
                .map(|index| record(u32::try_from(index).unwrap() + 1))
                .collect();
            assert_eq!(content.records, expected, "{at}");
            assert!(content.damaged_bytes > 0 && content.torn_bytes == 0, "{at}");
        }
    }

    #[test]
    fn a_later_version_is_left_alone() {
        let mut bytes = segment(1);
        bytes[LETTERS.len()] = 2;
        assert_eq!(read(&bytes.into(), true), Err(UnknownVersion(2)));
    }
}
