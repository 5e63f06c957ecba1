//! Options of TCP sockets.

use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpSocket;

use crate::connect::conninfo::SocketSettings;

/// Sets the options of a socket that is not yet connected.
///
/// Small messages are sent at once (TCP_NODELAY): the protocol is full of short questions that
/// somebody waits on, and long ones are written in large pieces anyway. Buffer sizes are left to the
/// kernel, whose autotuning setting them would switch off. `tcp_user_timeout` is only set when
/// asked for: Linux counts it against a peer that is alive and merely not reading, and the target
/// of a COPY may not read for as long as it waits for a lock.
///
/// # Errors
/// The option that the system refuses, and its reason.
pub(super) fn configure(
    socket: &TcpSocket,
    settings: &SocketSettings,
) -> Result<(), (&'static str, std::io::Error)> {
    socket.set_nodelay(true).map_err(|error| ("TCP_NODELAY", error))?;
    let socket = SockRef::from(socket);
    if settings.keepalives {
        socket.set_keepalive(true).map_err(|error| ("keepalives", error))?;
        let steps = [
            ("keepalives_idle", settings.keepalives_idle.map(|t| TcpKeepalive::new().with_time(t))),
            (
                "keepalives_interval",
                settings.keepalives_interval.map(|t| TcpKeepalive::new().with_interval(t)),
            ),
            (
                "keepalives_count",
                settings.keepalives_count.map(|count| TcpKeepalive::new().with_retries(count)),
            ),
        ];
        for (keyword, step) in steps {
            if let Some(step) = step {
                socket.set_tcp_keepalive(&step).map_err(|error| (keyword, error))?;
            }
        }
    }
    #[cfg(any(target_os = "linux", target_os = "android"))]
    if let Some(timeout) = settings.tcp_user_timeout {
        socket.set_tcp_user_timeout(Some(timeout)).map_err(|error| ("tcp_user_timeout", error))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Settings with everything given.
    fn settings() -> SocketSettings {
        SocketSettings {
            keepalives: true,
            keepalives_idle: Some(Duration::from_secs(11)),
            keepalives_interval: Some(Duration::from_secs(12)),
            keepalives_count: Some(13),
            tcp_user_timeout: Some(Duration::from_millis(14_000)),
        }
    }

    // trap X-18
    #[tokio::test]
    async fn options_reach_the_socket() {
        let socket = TcpSocket::new_v4().unwrap();
        configure(&socket, &settings()).unwrap();
        let seen = SockRef::from(&socket);
        assert!(seen.tcp_nodelay().unwrap());
        assert!(seen.keepalive().unwrap());
        assert_eq!(seen.tcp_keepalive_time().unwrap(), Duration::from_secs(11));
        assert_eq!(seen.tcp_keepalive_interval().unwrap(), Duration::from_secs(12));
        assert_eq!(seen.tcp_keepalive_retries().unwrap(), 13);
        #[cfg(target_os = "linux")]
        assert_eq!(seen.tcp_user_timeout().unwrap(), Some(Duration::from_secs(14)));
    }

    #[tokio::test]
    async fn keepalives_can_be_switched_off() {
        let socket = TcpSocket::new_v4().unwrap();
        configure(&socket, &SocketSettings { keepalives: false, ..settings() }).unwrap();
        assert!(!SockRef::from(&socket).keepalive().unwrap());
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn value_the_system_refuses_is_named() {
        let socket = TcpSocket::new_v4().unwrap();
        // Linux allows 127 probes at most (MAX_TCP_KEEPCNT).
        let wrong = SocketSettings { keepalives_count: Some(128), ..settings() };
        let (keyword, _) = configure(&socket, &wrong).unwrap_err();
        assert_eq!(keyword, "keepalives_count");
    }
}
