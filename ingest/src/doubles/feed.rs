//! A feed that tells what a test says.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use common::{
    clock::SystemEntropy,
    domain::{Email, Event, EventId, EventKind, Name, Priority, Status, Subject, SubmissionId},
    ports::events::{Feed, FeedItem, Subscription},
    trace::Trace,
};
use tokio::{
    sync::mpsc,
    time::{sleep, timeout},
};

/// Listeners hear what is told from when they opened it.
#[derive(Default)]
pub struct ScriptedFeed {
    listener: Mutex<Option<mpsc::UnboundedSender<Line>>>,
    subscriptions: AtomicUsize,
}

enum Line {
    Item(FeedItem),
    Death,
}

impl Feed for ScriptedFeed {
    fn subscribe(&self) -> Box<dyn Subscription> {
        let (sender, receiver) = mpsc::unbounded_channel();
        *self.listener.lock().unwrap() = Some(sender);
        self.subscriptions.fetch_add(1, Ordering::Relaxed);
        Box::new(Listener(receiver))
    }
}

struct Listener(mpsc::UnboundedReceiver<Line>);

#[async_trait]
impl Subscription for Listener {
    async fn next(&mut self) -> FeedItem {
        match self.0.recv().await {
            Some(Line::Item(item)) => item,
            Some(Line::Death) => panic!("a feed that dies"),
            None => std::future::pending().await,
        }
    }
}

impl ScriptedFeed {
    /// How often it was opened.
    pub fn subscriptions(&self) -> usize {
        self.subscriptions.load(Ordering::Relaxed)
    }

    /// Waits until it has been opened so often and is open.
    pub async fn opened(&self, times: usize) {
        let opening = async {
            while !(self.subscriptions() == times && self.is_open()) {
                sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(Duration::from_mins(10), opening).await.expect("the feed is opened");
    }

    /// Whether somebody listens.
    pub fn is_open(&self) -> bool {
        self.listener.lock().unwrap().as_ref().is_some_and(|listener| !listener.is_closed())
    }

    /// Tells of a change.
    pub fn tell(&self, event: Event) {
        self.send(Line::Item(FeedItem::Changed(Arc::new(event))));
    }

    /// Tells that changes may have been missed.
    pub fn tell_gap(&self) {
        self.send(Line::Item(FeedItem::Gap));
    }

    /// Panics in the listener's task.
    pub fn die(&self) {
        self.send(Line::Death);
    }

    fn send(&self, line: Line) {
        if let Some(listener) = &*self.listener.lock().unwrap() {
            // Whether anybody hears it is what tests are about.
            let _ = listener.send(line);
        }
    }
}

/// The `version`-th change of a ticket: its creation, then in turn taken up and resolved.
pub fn change(ticket_id: SubmissionId, version: u32) -> Event {
    let (kind, status) = match version {
        1 => (EventKind::TicketCreated, Status::Open),
        even if even % 2 == 0 => (EventKind::TicketStatusChanged, Status::InProgress),
        _ => (EventKind::TicketStatusChanged, Status::Resolved),
    };
    Event {
        changes: None,
        id: EventId::of(ticket_id, version),
        ticket_id,
        number: "SUP-2026-483920".parse().unwrap(),
        version,
        kind,
        name: Name::parse("Ada").unwrap(),
        email: Email::parse("ada@example.org").unwrap(),
        subject: Subject::Technical,
        status,
        priority: Priority::High,
        at: format!("2026-11-22T10:{:02}:00Z", version % 60).parse().unwrap(),
        submitted_at: "2026-11-22T10:01:00Z".parse().unwrap(),
        trace: Trace::of_request(None, None, &SystemEntropy),
    }
}
