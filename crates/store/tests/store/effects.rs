//! The effects of the functions, as the append-only file has them, and a server to replay them on.

use std::fs;
use std::path::Path;

use blackfriday_stack::ValkeyKind;
use redis::aio::MultiplexedConnection;

use crate::setup::Setup;

/// A command as it is in the append-only file.
pub(crate) type Effect = Vec<Vec<u8>>;

/// A server whose append-only file holds every effect when it is answered, another one to replay them on, and a connection
/// to that.
pub(crate) struct Bench {
    pub(crate) source: Setup,
    pub(crate) setup: Setup,
    connection: MultiplexedConnection,
}

impl Bench {
    pub(crate) fn new(kind: ValkeyKind) -> Self {
        let source = Setup::with(kind, &[("appendfsync", "no")], |_| {});
        let replayed = [("appendonly", "no"), ("enable-debug-command", "yes")];
        let setup = Setup::with(kind, &replayed, |_| {});
        let client = redis::Client::open(setup.valkey.url()).expect("a server");
        let connection = setup.runtime.block_on(client.get_multiplexed_async_connection());
        Self { source, setup, connection: connection.expect("connects") }
    }

    /// Empties the server, and replays effects one by one.
    pub(crate) fn replay(&self, parts: &[&[Effect]]) {
        let mut all = redis::pipe();
        all.cmd("FLUSHALL").ignore();
        for effect in parts.iter().flat_map(|part| part.iter()) {
            let name = String::from_utf8_lossy(&effect[0]).into_owned();
            all.cmd(&name).arg(&effect[1..]).ignore();
        }
        let mut connection = self.connection.clone();
        self.setup.runtime.block_on(all.exec_async(&mut connection)).expect("every effect can be replayed");
    }

    /// A digest of all keys and values.
    pub(crate) fn digest(&self) -> String {
        self.setup.run(&["DEBUG", "DIGEST"])
    }

    /// The effects of what `count` does, from an empty server on.
    pub(crate) fn effects(&self, count: impl FnOnce(&Setup)) -> Vec<Effect> {
        self.source.run(&["FLUSHALL"]);
        let before = self.file().len();
        count(&self.source);
        let all = parse(&self.file()[before..]);
        let outside = [b"MULTI".as_slice(), b"EXEC", b"SELECT", b"FUNCTION"];
        all.into_iter()
            .filter(|effect| !outside.contains(&effect[0].to_ascii_uppercase().as_slice()))
            .collect()
    }

    fn file(&self) -> Vec<u8> {
        self.source.runtime.block_on(self.source.valkey.on_disk()).expect("written");
        let told = self.source.run(&["CONFIG", "GET", "dir"]);
        let folder = Path::new(told.lines().next_back().expect("a folder")).join("appendonlydir");
        let files = fs::read_dir(&folder).expect("the folder").map(|file| file.expect("a file").path());
        let mut growing = files.filter(|path| path.to_string_lossy().ends_with(".incr.aof"));
        fs::read(growing.next().expect("one file that grows")).expect("read")
    }
}

/// Commands as clients send them: arrays of bulk strings.
fn parse(mut bytes: &[u8]) -> Vec<Effect> {
    let mut all = Vec::new();
    while !bytes.is_empty() {
        let words = number(&mut bytes, b'*');
        let word = |_| {
            let length = number(&mut bytes, b'$');
            let (word, rest) = bytes.split_at(length);
            bytes = &rest[2..];
            word.to_vec()
        };
        all.push((0..words).map(word).collect());
    }
    all
}

fn number(bytes: &mut &[u8], mark: u8) -> usize {
    let end = bytes.iter().position(|byte| *byte == b'\r').expect("a line");
    let (line, rest) = bytes.split_at(end);
    assert_eq!(line[0], mark, "{:?}", String::from_utf8_lossy(line));
    *bytes = &rest[2..];
    std::str::from_utf8(&line[1..]).expect("a number").parse().expect("a number")
}
