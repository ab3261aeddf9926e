//! From a connection to a TLS stream, within a time limit.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// Shaking hands takes no longer: who stalls must not hold a connection's place for ever.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// The first byte of every TLS connection: a record that carries a handshake (RFC 8446, 5.1).
const TLS: u8 = 0x16;

/// What is read of a request that came without TLS before it is answered.
const PLAIN_REQUEST: usize = 8 * 1024;

/// The answer to it.
const PLAIN_ANSWER: &str = "this port speaks HTTPS; write https:// in front of the address\n";

/// Shakes hands. A client that speaks plain HTTP is told so.
pub(crate) async fn accept(
    config: Arc<ServerConfig>,
    socket: TcpStream,
) -> io::Result<TlsStream<TcpStream>> {
    let shaken = timeout(HANDSHAKE, async {
        let mut first = [0];
        if socket.peek(&mut first).await? == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
        }
        if first[0] != TLS {
            answer_plainly(socket).await?;
            return Err(io::Error::other("a request without TLS"));
        }
        TlsAcceptor::from(config).accept(socket).await
    });
    shaken.await.map_err(|_| {
        let text = format!("the handshake took longer than {} s", HANDSHAKE.as_secs());
        io::Error::new(io::ErrorKind::TimedOut, text)
    })?
}

async fn answer_plainly(mut socket: TcpStream) -> io::Result<()> {
    // What is left unread would make the kernel reset the connection before the answer is there.
    let mut request = vec![0; PLAIN_REQUEST];
    let _ = socket.read(&mut request).await?;
    let answer = format!(
        "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{PLAIN_ANSWER}",
        PLAIN_ANSWER.len()
    );
    socket.write_all(answer.as_bytes()).await?;
    socket.shutdown().await
}
