//! Tests of dialling and handshakes against scripted servers on loopback sockets.
