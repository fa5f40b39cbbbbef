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

    #[test]
    fn receipts_read_back_and_foreign_ones_are_skipped() {
        let receipt = Receipt {
            id: Uuid::from_u128(7).into(),
            number: "SUP-2026-000001".parse().unwrap(),
            submitted_at: "2026-11-22T10:30:00.123Z".parse().unwrap(),
        };
        assert_eq!(decode(&encode(std::slice::from_ref(&receipt))).unwrap(), [receipt]);
        let foreign = br#"{"receipts":[{"id":"00000000-0000-0000-0000-000000000007","number":"X-1",
                "submittedAt":"2026-11-22T10:30:00.123Z"}]}"#;
        assert_eq!(decode(foreign).unwrap(), []);
        assert!(decode(b"[]").is_err());
    }
}
