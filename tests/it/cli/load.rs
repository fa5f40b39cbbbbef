//! A few senders who go on until their connection breaks, and remember every yes.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use tokio::task::JoinSet;

use crate::bed::client::Client;
use crate::bed::form::Form;
use crate::bed::system::TICKETS;
use crate::bed::wait::{eventually, until};

const SENDERS: usize = 8;
/// For the worker to make tickets of what is queued.
const SETTLE: Duration = Duration::from_secs(30);

/// A submission that was accepted.
#[derive(Clone, Debug)]
pub struct Accepted {
    pub id: String,
    /// Told with a 201 only.
    pub number: Option<String>,
    pub message: Value,
}

/// Senders at work. Every other submission asks not to wait for its number.
pub struct Load {
    accepted: Arc<Mutex<Vec<Accepted>>>,
    senders: JoinSet<()>,
}

impl Load {
    /// Starts sending to an address.
    pub fn on(address: SocketAddr) -> Self {
        let accepted = Arc::new(Mutex::new(Vec::new()));
        let mut senders = JoinSet::new();
        for _ in 0..SENDERS {
            senders.spawn(send(Client::of_the_api(address), Arc::clone(&accepted)));
        }
        Self { accepted, senders }
    }

    /// Waits until so many were accepted.
    pub async fn reaches(&self, count: usize) {
        let what = format!("{count} submissions are accepted");
        until(SETTLE, &what, async || self.accepted.lock().unwrap().len() >= count).await;
    }

    /// Waits until every sender has given up, and tells what was accepted.
    pub async fn ends(mut self) -> Vec<Accepted> {
        while let Some(sender) = self.senders.join_next().await {
            sender.unwrap();
        }
        std::mem::take(&mut *self.accepted.lock().unwrap())
    }
}

/// Sends until there is no answer, or one that says to come back later.
async fn send(client: Client, accepted: Arc<Mutex<Vec<Accepted>>>) {
    for turn in 0.. {
        let form = Form::valid();
        let post = client.post(TICKETS);
        let post = if turn % 2 == 0 { post } else { post.header("prefer", "respond-async") };
        let Ok(answer) = post.json(&form).try_send().await else { return };
        if answer.status == 503 {
            return;
        }
        assert!([201, 202].contains(&answer.status.as_u16()), "{}", answer.text());
        let data = answer.json()["data"].clone();
        let text = |name: &str| data[name].as_str().map(str::to_owned);
        accepted.lock().unwrap().push(Accepted {
            id: text("id").unwrap(),
            number: text("ticketNumber"),
            message: form.json()["message"].clone(),
        });
    }
}

/// Waits until everything accepted is a ticket, with the number that was told and what was sent,
/// and no two of them are one.
pub async fn assert_all_are_tickets(client: &Client, accepted: &[Accepted]) {
    let mut numbers = BTreeSet::new();
    for submission in accepted {
        let path = format!("{TICKETS}/{}", submission.id);
        let what = format!("{submission:?} is a ticket");
        let ticket = eventually(SETTLE, &what, async || {
            let answer = client.get(&path).try_send().await.map_err(|error| error.to_string())?;
            let data = answer.json()["data"].clone();
            if data["status"] == "open" { Ok(data) } else { Err(answer.text().to_owned()) }
        })
        .await;
        let number = ticket["ticketNumber"].as_str().unwrap();
        assert!(submission.number.as_ref().is_none_or(|told| told == number), "{submission:?}");
        assert_eq!(ticket["message"], submission.message);
        assert!(numbers.insert(number.to_owned()), "{number} twice");
    }
}
