//! CancelRequest on a second connection.

use bytes::BytesMut;
use proto::frontend;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::trace;
use crate::connect::conninfo::{ConnInfo, HostSpec};
use crate::connect::net::{self, TlsAttempt};

/// Longest wait for a cancel request to be delivered.
const CANCEL_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(5);

/// What a CancelRequest for one session needs.
#[derive(Clone)]
pub struct CancelHandle {
    info: std::sync::Arc<ConnInfo>,
    host: HostSpec,
    attempt: TlsAttempt,
    process_id: u32,
    secret_key: Vec<u8>,
}

impl std::fmt::Debug for CancelHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CancelHandle").field("process_id", &self.process_id).finish_non_exhaustive()
    }
}

impl CancelHandle {
    /// Keeps how the session was reached, and its key.
    pub(super) fn new(
        info: &ConnInfo,
        host: &HostSpec,
        attempt: TlsAttempt,
        process_id: u32,
        secret_key: Vec<u8>,
    ) -> Self {
        Self {
            info: std::sync::Arc::new(info.clone()),
            host: host.clone(),
            attempt,
            process_id,
            secret_key,
        }
    }

    /// The backend's process id.
    pub(super) fn process_id(&self) -> u32 {
        self.process_id
    }

    /// Asks the server to cancel what the session is doing. Best effort: the server says nothing
    /// about the outcome, and neither does this.
    pub async fn cancel(&self) {
        let deliver = async {
            let mut stream = net::open(&self.host, &self.info, self.attempt).await.ok()?;
            let mut message = BytesMut::new();
            let process_id = i32::try_from(self.process_id).ok()?;
            frontend::cancel_request(process_id, &self.secret_key, &mut message).ok()?;
            trace::sent_untagged(format_args!("cancel"), &message);
            stream.write_all(&message).await.ok()?;
            stream.flush().await.ok()?;
            // The server closes the connection once the signal is sent.
            let _ = stream.read(&mut [0; 1]).await;
            Some(())
        };
        if tokio::time::timeout(CANCEL_TIMEOUT, deliver).await.ok().flatten().is_none() {
            tracing::debug!(process_id = self.process_id, "cancel request was not delivered");
        }
    }
}
