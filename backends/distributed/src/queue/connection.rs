//! Connections: opened under a deadline, replaced when lost.

use std::{sync::Arc, time::Duration};

use common::{
    Cause, ended,
    metrics::{BROKER_CONNECTIONS, BROKER_FAILURES},
};
use lapin::{
    Channel, Connection, ConnectionProperties, Consumer,
    options::{BasicConsumeOptions, BasicQosOptions},
    types::FieldTable,
    uri::AMQPUri,
};
use tokio::{sync::Mutex, time::timeout};

/// Opening a connection or a channel, or asking a question on it, gives up by then. The client
/// itself can wait for ever on a broker that has stopped answering without hanging up.
pub(super) const CALL_DEADLINE: Duration = Duration::from_secs(3);

/// Waits for the answer to one call. Each of several has a deadline of its own: a broker that is far
/// away takes long for all of them, and still can be reached.
pub(super) async fn answered<T>(call: impl Future<Output = lapin::Result<T>>) -> Result<T, Cause> {
    Ok(timeout(CALL_DEADLINE, call).await??)
}

/// Begins to consume a queue on a channel that has been opened for it, holding so many messages at
/// most. A channel that cannot is closed.
///
/// A queue without a leader answers late. If nobody waited for that answer any more, lapin would keep
/// the consumer and the channel, and the broker deliver to it: those messages would be nobody's until
/// the connection ends. So it is seen to its end, and by a task of its own, which whoever asked cannot
/// drop half-way.
pub(super) async fn consume(
    channel: &Channel,
    queue: impl Into<String>,
    prefetch: u16,
) -> Result<Consumer, Cause> {
    let (channel, queue) = (channel.clone(), queue.into());
    let consuming = tokio::spawn(async move {
        let consumer = begin(&channel, &queue, prefetch).await;
        if consumer.is_err() {
            // It is sent at once, and done whenever the broker comes to it. Whoever asked need not
            // wait for that.
            tokio::spawn(async move {
                let _ = answered(channel.close(200, "not in time".into())).await;
            });
        }
        consumer
    });
    consuming.await.map_err(|error| ended(&error))?
}

async fn begin(channel: &Channel, queue: &str, prefetch: u16) -> Result<Consumer, Cause> {
    // It bounds the consumers that are to come, not those that are there.
    answered(channel.basic_qos(prefetch, BasicQosOptions::default())).await?;
    let (options, none) = (BasicConsumeOptions::default(), FieldTable::default());
    answered(channel.basic_consume(queue.into(), "".into(), options, none)).await
}

/// Longest frame where only messages of ours come and go, unless the address says another: the client keeps
/// two buffers of 32 frames for each connection.
const FRAME_BYTES_OF_OURS: u32 = 32 * 1_024;

/// The same where strangers' messages are consumed, or buried as they came: a message's properties travel in
/// one frame, and a broker's are of 128 KiB unless it is told otherwise. A client that is not told either
/// learns it from the broker, and grows its buffers then, writing all over them: eight mebibytes that are
/// there at once, and not only once that much has come.
const FRAME_BYTES: u32 = 128 * 1_024;

/// Opens a connection that does not try to repair itself.
pub(super) async fn connect(uri: &AMQPUri, name: &'static str) -> Result<Connection, Cause> {
    let mut uri = uri.clone();
    uri.query.frame_max.get_or_insert(FRAME_BYTES);
    let properties = ConnectionProperties::default().with_connection_name(name.into());
    let connecting = Connection::connect_uri(uri, properties);
    let connected = answered(connecting).await;
    let counter = if connected.is_ok() { BROKER_CONNECTIONS } else { BROKER_FAILURES };
    counter.increment(&[("connection", name)]);
    connected
}

/// The same for messages of ours alone, in less memory.
pub(super) async fn connect_for_ours(
    uri: &AMQPUri,
    name: &'static str,
) -> Result<Connection, Cause> {
    let mut uri = uri.clone();
    uri.query.frame_max.get_or_insert(FRAME_BYTES_OF_OURS);
    connect(&uri, name).await
}

/// Says good-bye. A broker that does not answer has nothing to lose by it.
pub(super) async fn close(connection: &Connection) {
    let _ = answered(connection.close(200, "done".into())).await;
}

/// One connection for several users, opened by the first who needs it and again by the first who
/// finds it lost.
pub(super) struct SharedConnection {
    uri: AMQPUri,
    name: &'static str,
    current: Arc<Mutex<Option<Arc<Connection>>>>,
}

impl SharedConnection {
    pub(super) fn new(uri: AMQPUri, name: &'static str) -> Self {
        Self { uri, name, current: Arc::default() }
    }

    /// A new channel on a live connection.
    pub(super) async fn channel(&self) -> Result<Channel, Cause> {
        let connection = self.live().await?;
        let channel = answered(connection.create_channel()).await;
        if channel.is_err() {
            // Whatever it is, the next one starts afresh; unless another has done so meanwhile.
            let mut current = self.current.lock().await;
            current.take_if(|current| Arc::ptr_eq(current, &connection));
        }
        channel
    }

    async fn live(&self) -> Result<Arc<Connection>, Cause> {
        let mut current = Arc::clone(&self.current).lock_owned().await;
        if let Some(connection) = current.as_ref().filter(|it| it.status().connected()) {
            return Ok(Arc::clone(connection));
        }
        let (uri, name) = (self.uri.clone(), self.name);
        // A task of its own: who probes gives up before CALL_DEADLINE, and a connect that takes
        // longer than that would begin anew for ever. It holds the lock, so there is one at a time.
        let opening = tokio::spawn(async move {
            let connection = Arc::new(connect(&uri, name).await?);
            *current = Some(Arc::clone(&connection));
            Ok(connection)
        });
        opening.await.map_err(|error| ended(&error))?
    }

    pub(super) async fn close(&self) {
        if let Some(connection) = self.current.lock().await.take() {
            close(&connection).await;
        }
    }
}
