//! Values of RESP, one after the other: each request is one, and each answer.

use super::keep;

/// A line that is longer is no head of a value; it goes on in the next piece then.
const LONGEST_LINE: usize = 64;
/// What a server says that nobody asked for.
const PUSH: u8 = b'>';

/// A direction of a connection, cut into values. Each has its number as its id.
#[derive(Default)]
pub(crate) struct Values {
    number: u32,
    /// Values that are still to come before the one that is read is whole, 0 between two.
    wanted: usize,
    /// Bytes of text that are still to come, with their line's end.
    text: usize,
    /// The head that is read, without its line's end.
    line: Vec<u8>,
    is_push: bool,
    kept: Vec<u8>,
}

impl Values {
    /// Tells where values begin, by their place in `bytes`, and what those had that are whole now.
    pub(crate) fn feed(
        &mut self,
        bytes: &[u8],
        mut begins: impl FnMut(usize, u32),
        mut ends: impl FnMut(u32, &[u8]),
    ) {
        let mut at = 0;
        while at < bytes.len() {
            if self.wanted == 0 {
                self.wanted = 1;
                self.is_push = bytes[at] == PUSH;
                if !self.is_push {
                    begins(at, self.number);
                }
            }
            let read = if self.text > 0 { self.text.min(bytes.len() - at) } else { 1 };
            let piece = &bytes[at..at + read];
            at += read;
            keep(&mut self.kept, piece);
            if self.text > 0 {
                self.text -= read;
                self.wanted -= usize::from(self.text == 0);
            } else {
                self.head(piece[0]);
            }
            if self.wanted == 0 {
                if !self.is_push {
                    ends(self.number, &self.kept);
                    self.number = self.number.wrapping_add(1);
                }
                self.kept.clear();
            }
        }
    }

    /// One byte of a head: what is to come is known at its end.
    fn head(&mut self, byte: u8) {
        if byte != b'\n' {
            if byte != b'\r' && self.line.len() < LONGEST_LINE {
                self.line.push(byte);
            }
            return;
        }
        let kind = self.line.first().copied().unwrap_or_default();
        let length: Option<usize> =
            std::str::from_utf8(&self.line[1.min(self.line.len())..]).ok().and_then(|text| text.parse().ok());
        self.line.clear();
        match kind {
            b'$' | b'=' | b'!' if length.is_some() => self.text = length.unwrap_or(0).saturating_add(2),
            b'*' | b'~' | PUSH => self.wanted = (self.wanted - 1).saturating_add(length.unwrap_or(0)),
            b'%' => self.wanted = (self.wanted - 1).saturating_add(length.unwrap_or(0).saturating_mul(2)),
            _ => self.wanted -= 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Begun = Vec<(usize, u32)>;
    type Ended = Vec<(u32, String)>;

    fn fed(bytes: &[u8], piece: usize) -> (Begun, Ended) {
        let (mut values, mut begun, mut ended) = (Values::default(), Vec::new(), Vec::new());
        for (number, bytes) in bytes.chunks(piece).enumerate() {
            let begins = |at, id| begun.push((number * piece + at, id));
            let ends = |id, value: &[u8]| ended.push((id, String::from_utf8_lossy(value).into_owned()));
            values.feed(bytes, begins, ends);
        }
        (begun, ended)
    }

    #[test]
    fn values_of_every_kind_are_found_however_they_are_cut() {
        let all = [
            "*2\r\n$3\r\nGET\r\n$2\r\n\r\n\r\n",
            "+OK\r\n",
            "$-1\r\n",
            "*2\r\n*1\r\n:7\r\n*0\r\n",
            "-ERR no\r\n",
            "%1\r\n+a\r\n_\r\n",
            "$0\r\n\r\n",
        ];
        let stream = all.concat();
        for piece in 1..=stream.len() {
            let (begun, ended) = fed(stream.as_bytes(), piece);
            let values: Vec<&str> = ended.iter().map(|(_, value)| value.as_str()).collect();
            assert_eq!(values, all, "pieces of {piece}");
            assert!(ended.iter().map(|(id, _)| *id).eq(0..7));
            assert_eq!(begun[1], (all[0].len(), 1));
        }
    }

    #[test]
    fn what_nobody_asked_for_is_no_answer() {
        let stream = ">2\r\n+message\r\n$2\r\nhi\r\n:1\r\n";
        assert_eq!(fed(stream.as_bytes(), 3).1, [(0, ":1\r\n".to_owned())]);
    }

    #[test]
    fn what_is_no_value_is_read_within_bounds() {
        let mut values = Values::default();
        for _ in 0..100 {
            values.feed(&[0x17; 4096], |_, _| {}, |_, _| {});
        }
        assert!(values.line.len() == LONGEST_LINE && values.kept.len() == super::super::KEPT);
    }
}
