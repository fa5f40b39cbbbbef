//! What a worker replies to an edge: one message for all the receipts of a batch that are its.
//!
//! `{"receipts": [{"id": "…", "number": "SUP-2026-483920", "submittedAt": "…"}]}`. Readers skip what
//! they do not understand: an edge without a receipt answers 202.

use bytes::Bytes;
use chrono::{DateTime, Utc};
use common::ports::queue::Receipt;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

#[derive(Serialize, Deserialize)]
struct Reply {
    receipts: Vec<WireReceipt>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireReceipt {
    id: Uuid,
    number: String,
    submitted_at: DateTime<Utc>,
}

pub(super) fn encode(receipts: &[Receipt]) -> Bytes {
    let receipts = receipts
        .iter()
        .map(|receipt| WireReceipt {
            id: receipt.id.as_uuid(),
            number: receipt.number.to_string(),
            submitted_at: receipt.submitted_at,
        })
        .collect();
    #[expect(clippy::expect_used, reason = "strings under string keys always serialize")]
    serde_json::to_vec(&Reply { receipts }).expect("receipts are plain JSON").into()
}

pub(super) fn decode(body: &[u8]) -> Result<Vec<Receipt>, serde_json::Error> {
    let reply: Reply = serde_json::from_slice(body)?;
    let receipt = |wire: WireReceipt| {
        let (id, number) = (wire.id.into(), wire.number.parse().ok()?);
        Some(Receipt { id, number, submitted_at: wire.submitted_at })
    };
    Ok(reply.receipts.into_iter().filter_map(receipt).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const WRITTEN: &str = include_str!("../../../../tests/it/golden/receipts.json");

    fn receipts() -> [Receipt; 2] {
        let receipt = |id: &str, number: &str, time: &str| Receipt {
            id: id.parse::<Uuid>().unwrap().into(),
            number: number.parse().unwrap(),
            submitted_at: time.parse().unwrap(),
        };
        [
            receipt(
                "019aab3c-5d6e-7f80-9182-a3b4c5d6e7f8",
                "SUP-2026-483920",
                "2026-11-22T10:30:00.123Z",
            ),
            receipt(
                "82464917-671e-81ff-a4d5-59bd47bcf198",
                "SUP-2026-1000000",
                "2026-12-31T23:59:59.999Z",
            ),
        ]
    }

    #[test]
    fn receipts_are_written_as_they_ever_were_and_what_was_added_since_is_passed_over() {
        assert_eq!(encode(&receipts()), WRITTEN);
        let added =
            WRITTEN.replace("{\"id\"", "{\"mood\":[1],\"id\"").replacen('{', "{\"v\":9,", 1);
        assert_eq!(decode(WRITTEN.as_bytes()).unwrap(), receipts());
        assert_eq!(decode(added.as_bytes()).unwrap(), receipts());
    }

    #[test]
    fn foreign_receipts_are_skipped() {
        let foreign = br#"{"receipts":[{"id":"00000000-0000-0000-0000-000000000007","number":"X-1",
                "submittedAt":"2026-11-22T10:30:00.123Z"}]}"#;
        assert_eq!(decode(foreign).unwrap(), []);
        assert!(decode(b"[]").is_err());
    }
}
