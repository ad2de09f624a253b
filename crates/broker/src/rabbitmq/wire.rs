//! The primitive values of the stream protocol: numbers in network order, strings and arrays with their length before them.

use std::borrow::Cow;

/// What was read is shorter than it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it ends in the middle of a value")]
pub(super) struct Truncated;

/// Takes values off the front of bytes. Never panics, and allocates only for what is there.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) fn rest(self) -> &'a [u8] {
        self.0
    }

    pub(super) fn take(&mut self, length: usize) -> Result<&'a [u8], Truncated> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(Truncated)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Truncated> {
        let (taken, rest) = self.0.split_first_chunk::<N>().ok_or(Truncated)?;
        self.0 = rest;
        Ok(*taken)
    }

    pub(super) fn u8(&mut self) -> Result<u8, Truncated> {
        self.array().map(u8::from_be_bytes)
    }

    pub(super) fn u16(&mut self) -> Result<u16, Truncated> {
        self.array().map(u16::from_be_bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32, Truncated> {
        self.array().map(u32::from_be_bytes)
    }

    pub(super) fn u64(&mut self) -> Result<u64, Truncated> {
        self.array().map(u64::from_be_bytes)
    }

    pub(super) fn i64(&mut self) -> Result<i64, Truncated> {
        self.array().map(i64::from_be_bytes)
    }

    /// So many bytes as the `u32` before them says.
    pub(super) fn bytes(&mut self) -> Result<&'a [u8], Truncated> {
        let length = self.u32()?;
        self.take(length as usize)
    }

    /// A string; a null one (length -1) is empty. Its bytes that are not UTF-8 are replaced: it is compared and shown only.
    pub(super) fn string(&mut self) -> Result<Cow<'a, str>, Truncated> {
        match self.u16()? {
            u16::MAX => Ok(Cow::Borrowed("")),
            length => Ok(String::from_utf8_lossy(self.take(usize::from(length))?)),
        }
    }

    /// An array of whatever `item` reads.
    pub(super) fn items<T>(
        &mut self,
        mut item: impl FnMut(&mut Self) -> Result<T, Truncated>,
    ) -> Result<Vec<T>, Truncated> {
        let count = self.u32()?;
        // The count alone allocates nothing: each item must be there.
        let mut items = Vec::new();
        for _ in 0..count {
            items.push(item(self)?);
        }
        Ok(items)
    }
}

/// Appends values.
pub(super) trait Put {
    fn put_u8(&mut self, value: u8);
    fn put_u16(&mut self, value: u16);
    fn put_u32(&mut self, value: u32);
    fn put_u64(&mut self, value: u64);
    /// A string, cut at 32767 bytes, which no name that a server takes has.
    fn put_string(&mut self, value: &str);
    /// Pairs of strings.
    fn put_map(&mut self, pairs: &[(&str, &str)]);
}

impl Put for Vec<u8> {
    fn put_u8(&mut self, value: u8) {
        self.push(value);
    }

    fn put_u16(&mut self, value: u16) {
        self.extend_from_slice(&value.to_be_bytes());
    }

    fn put_u32(&mut self, value: u32) {
        self.extend_from_slice(&value.to_be_bytes());
    }

    fn put_u64(&mut self, value: u64) {
        self.extend_from_slice(&value.to_be_bytes());
    }

    fn put_string(&mut self, value: &str) {
        let most = usize::from(u16::MAX >> 1);
        let bytes = &value.as_bytes()[..value.len().min(most)];
        self.put_u16(u16::try_from(bytes.len()).expect("cut above"));
        self.extend_from_slice(bytes);
    }

    fn put_map(&mut self, pairs: &[(&str, &str)]) {
        self.put_u32(u32::try_from(pairs.len()).expect("a handful of pairs"));
        for (key, value) in pairs {
            self.put_string(key);
            self.put_string(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn values_are_read_as_they_were_written() {
        let mut bytes = Vec::new();
        bytes.put_u8(1);
        bytes.put_u16(2);
        bytes.put_u32(3);
        bytes.put_u64(4);
        bytes.put_map(&[("name", "ventas-0")]);
        let mut reader = Reader::new(&bytes);
        assert_eq!((reader.u8(), reader.u16(), reader.u32(), reader.u64()), (Ok(1), Ok(2), Ok(3), Ok(4)));
        let pair =
            |reader: &mut Reader<'_>| Ok((reader.string()?.into_owned(), reader.string()?.into_owned()));
        assert_eq!(reader.items(pair), Ok(vec![("name".to_owned(), "ventas-0".to_owned())]));
        assert!(reader.rest().is_empty());
        assert_eq!(Reader::new(&[0xff, 0xff, 7]).string().as_deref(), Ok(""), "a null string");
    }

    #[test]
    fn a_count_that_lies_is_an_error_and_allocates_nothing() {
        let bytes = u32::MAX.to_be_bytes();
        assert_eq!(Reader::new(&bytes).items(|reader| reader.u64()), Err(Truncated));
        assert_eq!(Reader::new(&bytes).bytes(), Err(Truncated));
    }

    proptest! {
        #[test]
        fn whatever_comes_is_a_value_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let mut reader = Reader::new(&bytes);
            drop(reader.items(|reader| reader.string().map(Cow::into_owned)));
            let _ = reader.bytes();
            prop_assert!(reader.rest().len() <= bytes.len());
        }
    }
}
