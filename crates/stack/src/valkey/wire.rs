//! One command over RESP 2, by hand: a client library would send commands of its own first (`CLIENT SETINFO`), which tests of
//! permissions and of broken servers would see.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// For one try.
const ANSWER_LIMIT: Duration = Duration::from_secs(2);

/// Whether the server executes commands, or would for somebody with its password.
pub(super) async fn answers(port: u16) -> bool {
    // A port that is passed on into a network that is not up takes a connection, and keeps it.
    match timeout(ANSWER_LIMIT, command(port, &["PING"])).await {
        Ok(Ok(_)) => true,
        Ok(Err(refusal)) => refusal.to_string().starts_with("NOAUTH"),
        Err(_) => false,
    }
}

/// The answer's values, one a line. A refusal is an error with the server's text.
pub(super) async fn command(port: u16, words: &[&str]) -> io::Result<String> {
    command_as(port, None, words).await
}

/// As [`command`], after a login with this password.
pub(super) async fn command_as(port: u16, password: Option<&str>, words: &[&str]) -> io::Result<String> {
    let mut stream = BufReader::new(TcpStream::connect(("127.0.0.1", port)).await?);
    if let Some(password) = password {
        stream.write_all(request(&["AUTH", password]).as_bytes()).await?;
        read(&mut stream).await?;
    }
    stream.write_all(request(words).as_bytes()).await?;
    read(&mut stream).await
}

fn request(words: &[&str]) -> String {
    let bulk = |word: &&str| format!("${}\r\n{word}\r\n", word.len());
    format!("*{}\r\n", words.len()) + &words.iter().map(bulk).collect::<String>()
}

async fn read(answer: &mut (impl AsyncBufRead + Unpin)) -> io::Result<String> {
    let mut values = Vec::new();
    let mut wanted: usize = 1;
    while wanted > 0 {
        wanted -= 1;
        let mut line = String::new();
        answer.read_line(&mut line).await?;
        let Some((kind, rest)) = line.trim_end().split_at_checked(1) else {
            return Err(io::ErrorKind::UnexpectedEof.into());
        };
        match kind {
            "-" => return Err(io::Error::other(rest.to_owned())),
            "*" => wanted += length(rest).unwrap_or(0),
            "$" => values.push(bulk(answer, length(rest)).await?),
            _ => values.push(rest.to_owned()),
        }
    }
    Ok(values.join("\n"))
}

/// `None` for the length -1, which means null.
fn length(text: &str) -> Option<usize> {
    text.parse().ok()
}

async fn bulk(answer: &mut (impl AsyncBufRead + Unpin), length: Option<usize>) -> io::Result<String> {
    let Some(length) = length else { return Ok(String::new()) };
    let mut bytes = vec![0; length + "\r\n".len()];
    answer.read_exact(&mut bytes).await?;
    bytes.truncate(length);
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_counted_in_bytes() {
        assert_eq!(request(&["GET", "año"]), "*2\r\n$3\r\nGET\r\n$4\r\naño\r\n");
    }

    #[tokio::test]
    async fn arrays_are_flattened() {
        let mut answer = &b"*3\r\n$2\r\nab\r\n*2\r\n:7\r\n$-1\r\n+OK\r\n"[..];
        assert_eq!(read(&mut answer).await.expect("whole"), "ab\n7\n\nOK");
    }

    #[tokio::test]
    async fn refusals_and_cut_answers_are_errors() {
        let refused = read(&mut &b"-ERR unknown\r\n"[..]).await.expect_err("refused");
        assert_eq!(refused.to_string(), "ERR unknown");
        let cut = read(&mut &b"*2\r\n:7\r\n"[..]).await.expect_err("cut");
        assert_eq!(cut.kind(), io::ErrorKind::UnexpectedEof);
    }
}
