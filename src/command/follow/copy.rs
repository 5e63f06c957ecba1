//! A copy whose changes are received meanwhile, in three parts: begun, copied, followed. One database
//! goes through them at once; of several, all are begun before the first is copied.

use super::prepare::{self, Prepared};
use super::snapshots::{self, Hold};
use super::{FollowOutcome, Receiving, catch_up, child};
use crate::base::error::Result;
use crate::base::event::EventSender;
use crate::base::stop::StopSignal;
use crate::command::clone::snapshot::Provider;
use crate::command::clone::{self, CloneOutcome};
use crate::config::{CloneConfig, FollowConfig, Resume};
use crate::follow::receive::Receiver;
use crate::local::state::SentinelHandle;

/// A database whose changes are received and whose rows are not copied yet.
pub struct Begun {
    follow: FollowConfig,
    prepared: Prepared,
    provider: Provider,
    receiving: Receiving,
    stop: StopSignal,
}

impl Begun {
    /// Makes slot, publications and position, or finds those of an earlier start, and receives from now
    /// on.
    ///
    /// # Errors
    /// What keeps them from being made; those of the receiver.
    pub async fn start(
        follow: FollowConfig,
        resume: Resume,
        hold: Hold,
        stop: &StopSignal,
    ) -> Result<Self> {
        let mut prepared = Box::pin(prepare::prepare(&follow, resume, stop)).await?;
        let first = snapshots::first(&follow, &mut prepared, hold).await?;
        let provider = snapshots::provider(&follow, &prepared, first);
        let receiver = Receiver::open(prepared.receive_settings(&follow)).await?;
        let receiving = Receiving::start(receiver, stop);
        Ok(Self { follow, prepared, provider, receiving, stop: stop.clone() })
    }

    /// Its end position and its positions.
    pub fn sentinel(&self) -> SentinelHandle {
        self.prepared.sentinel.clone()
    }

    /// Copies the database under the slot's snapshot.
    ///
    /// # Errors
    /// The first failure of copying or receiving; the same command continues.
    pub async fn copy(
        self,
        config: CloneConfig,
        events: EventSender,
    ) -> Result<(CloneOutcome, Following)> {
        let Self { follow, prepared, provider, mut receiving, stop } = self;
        let copy_stop = child(&stop);
        let copy = clone::run_under(config, events.clone(), copy_stop.clone(), Some(provider));
        let mut copy = Box::pin(copy);
        let copied = tokio::select! {
            copied = &mut copy => copied,
            failed = receiving.failed() => {
                // Without its changes the copy is of no use.
                copy_stop.stop_gracefully();
                let _ = copy.await;
                return Err(failed);
            }
        };
        drop(copy);
        let copied = match copied {
            Ok(copied) => copied,
            Err(error) => {
                receiving.end().await?;
                return Err(error);
            }
        };
        prepared.sentinel.set_apply(true).await?;
        tracing::info!("the copy is complete, applying what was committed since");
        Ok((copied, Following { follow, prepared, receiving, events, stop }))
    }
}

/// A database that is copied, with what was received since.
pub struct Following {
    follow: FollowConfig,
    prepared: Prepared,
    receiving: Receiving,
    events: EventSender,
    stop: StopSignal,
}

impl Following {
    /// Applies changes until the end position or until asked to stop.
    ///
    /// # Errors
    /// The first failure; the same command continues.
    pub async fn run(self) -> Result<FollowOutcome> {
        catch_up(&self.follow, self.prepared, self.receiving, self.events, &self.stop).await
    }
}
