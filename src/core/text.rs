//! JSON as text: walked member by member, and built and checked only where somebody asks.
//!
//! What a value is, is `serde_json`'s to say; here is only what holds maps together, because a reader driven by serde cannot
//! jump (`skip`). A review holds one object twice, so most of the second is, byte for byte, what was passed in the first.

mod skip;

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

/// Walks through a text.
#[derive(Debug)]
pub struct Reader<'a> {
    text: &'a str,
    at: usize,
    /// Is a map just opened, so that its first member needs no comma?
    opened: bool,
}

/// A value as text, and the members of it if it is a map that was taken apart.
#[derive(Debug, Clone, Default)]
pub struct Outline<'a> {
    /// All of it, as it is written.
    pub text: &'a str,
    /// Names and values, as they are written.
    pub members: Vec<Member<'a>>,
}

/// A member of a map: its name, and its value as text.
pub type Member<'a> = (Cow<'a, str>, &'a str);

/// Not JSON, or not what was expected.
#[derive(Debug, thiserror::Error)]
#[error("{reason} in what begins at byte {at}")]
pub struct Malformed {
    at: usize,
    reason: String,
}

/// How far members may stand apart in two maps that are read side by side; the API server writes them in one order.
const NEAR: usize = 8;

#[derive(Deserialize)]
#[serde(transparent)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

// === impl Reader ===

impl<'a> Reader<'a> {
    /// Begins at the start of a text.
    pub fn new(text: &'a str) -> Self {
        Self { text, at: 0, opened: false }
    }

    /// Enters a map.
    pub fn open(&mut self) -> Result<(), Malformed> {
        self.expect(b'{', "expected a map")?;
        self.opened = true;
        Ok(())
    }

    /// Enters a list.
    pub fn open_list(&mut self) -> Result<(), Malformed> {
        self.expect(b'[', "expected a list")?;
        self.opened = true;
        Ok(())
    }

    /// The name of the next member, whose value has to be read then; `None` at the end of the map.
    pub fn member(&mut self) -> Result<Option<Cow<'a, str>>, Malformed> {
        if !self.goes_on(b'}', "expected `,` or `}`")? {
            return Ok(None);
        }
        let name = self.text()?;
        self.expect(b':', "expected `:`")?;
        Ok(Some(name))
    }

    /// Is there another element, which has to be read then?
    pub fn element(&mut self) -> Result<bool, Malformed> {
        self.goes_on(b']', "expected `,` or `]`")
    }

    /// A string. Names are nearly always written as they are, and then there is nothing to build.
    pub fn text(&mut self) -> Result<Cow<'a, str>, Malformed> {
        self.peek();
        let plain = skip::plain(&self.text.as_bytes()[self.at..]).map(<[u8]>::len);
        match plain.and_then(|length| self.text.get(self.at + 1..self.at + 1 + length)) {
            Some(content) => {
                self.at += content.len() + 2;
                Ok(Cow::Borrowed(content))
            }
            None => self.read().map(|Text(text)| text),
        }
    }

    /// Builds the value that comes next.
    pub fn read<T: Deserialize<'a>>(&mut self) -> Result<T, Malformed> {
        let mut values = serde_json::Deserializer::from_str(&self.text[self.at..]).into_iter();
        match values.next() {
            Some(Ok(value)) => {
                self.at += values.byte_offset();
                Ok(value)
            }
            Some(Err(error)) => Err(self.malformed(&without_place(&error))),
            None => Err(self.malformed("expected a value")),
        }
    }

    /// The text of the value that comes next; what is in it, if it is a string, a list or a map, is for its reader to check. If it
    /// is the text that is `known` already, nobody has to look for its end.
    pub fn raw(&mut self, known: Option<&str>) -> Result<&'a str, Malformed> {
        if let Some(text) = known.and_then(|known| self.jump(known)) {
            return Ok(text);
        }
        if !matches!(self.peek(), Some(b'{' | b'[' | b'"')) {
            return Ok(self.read::<&RawValue>()?.get());
        }
        let rest = &self.text[self.at..];
        let end = skip::end(rest.as_bytes()).ok_or_else(|| self.malformed("EOF while parsing a value"))?;
        self.at += end;
        Ok(&rest[..end])
    }

    /// The value that comes next; if it is a map, and not the known one, taken apart.
    pub fn outline(&mut self, known: Option<&Outline<'_>>) -> Result<Outline<'a>, Malformed> {
        if let Some(text) = known.and_then(|known| self.jump(known.text)) {
            return Ok(Outline { text, members: Vec::new() });
        }
        if self.peek() != Some(b'{') {
            return Ok(Outline { text: self.raw(None)?, members: Vec::new() });
        }
        let start = self.at;
        let members = self.members(known.map_or(&[], |known| &known.members))?;
        Ok(Outline { text: &self.text[start..self.at], members })
    }

    /// What comes next, after white space, of which there is mostly none.
    #[inline]
    pub fn peek(&mut self) -> Option<u8> {
        let rest = &self.text.as_bytes()[self.at..];
        let space = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\n' | b'\t' | b'\r')).count();
        self.at += space;
        rest.get(space).copied()
    }

    /// Nothing may follow.
    pub fn end(&mut self) -> Result<(), Malformed> {
        self.peek().map_or(Ok(()), |_| Err(self.malformed("trailing characters")))
    }

    /// What is wrong here.
    pub fn malformed(&self, reason: &str) -> Malformed {
        Malformed { at: self.at, reason: reason.to_owned() }
    }

    fn members(&mut self, known: &[Member<'_>]) -> Result<Vec<Member<'a>>, Malformed> {
        let (mut members, mut beside) = (Vec::with_capacity(known.len()), known);
        self.open()?;
        while let Some(name) = self.member()? {
            let twin = beside.iter().take(NEAR).position(|(known, _)| *known == name);
            let value = self.raw(twin.map(|twin| beside[twin].1))?;
            beside = twin.map_or(beside, |twin| &beside[twin + 1..]);
            members.push((name, value));
        }
        Ok(members)
    }

    /// Is there more in this map or list?
    fn goes_on(&mut self, close: u8, otherwise: &str) -> Result<bool, Malformed> {
        let is_first = std::mem::take(&mut self.opened);
        match self.peek() {
            Some(byte) if byte == close => {
                self.at += 1;
                Ok(false)
            }
            Some(b',') if !is_first => {
                self.at += 1;
                Ok(true)
            }
            _ if is_first => Ok(true),
            _ => Err(self.malformed(otherwise)),
        }
    }

    /// Builds the value that comes next, and says how it is written.
    pub fn spelled<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, Malformed>,
    ) -> Result<(T, &'a str), Malformed> {
        self.peek();
        let start = self.at;
        let value = read(self)?;
        Ok((value, &self.text[start..self.at]))
    }

    /// Over a value that is known to be one, if it comes next. Only what has an end of its own: `1` is also how `12` begins.
    pub fn jump(&mut self, known: &str) -> Option<&'a str> {
        self.peek();
        let is_closed = matches!(known.as_bytes().first(), Some(b'{' | b'[' | b'"'));
        let text = self.text.get(self.at..self.at + known.len()).filter(|text| is_closed && *text == known)?;
        self.at += known.len();
        Some(text)
    }

    fn expect(&mut self, byte: u8, otherwise: &str) -> Result<(), Malformed> {
        if self.peek() != Some(byte) {
            return Err(self.malformed(otherwise));
        }
        self.at += 1;
        Ok(())
    }
}

// === impl Outline ===

impl<'a> Outline<'a> {
    /// Takes a value apart that was checked before; what is not a map has no members.
    pub fn of(text: &'a str, known: Option<&Outline<'_>>) -> Self {
        Reader::new(text).outline(known).unwrap_or(Self { text, members: Vec::new() })
    }
}

/// What `serde_json` says, without the line and column that count from the start of a part.
fn without_place(error: &serde_json::Error) -> String {
    let said = error.to_string();
    said.rsplit_once(" at line ").map_or(said.as_str(), |(said, _)| said).to_owned()
}

#[cfg(test)]
mod tests;
