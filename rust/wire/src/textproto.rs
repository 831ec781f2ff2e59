//! The text format of protobuf, as a tree of names and values (the `checkpoint` state file; `.pbtxt`).
//!
//! ```text
//! name: "text" 'more text'   name: 1.5   name: ENUM   name { … }   name: < … >   name: [1, 2]   # comment
//! ```
//!
//! No message type is needed to read it; who reads the tree says which names it may have. A tree takes a
//! multiple of the text's memory, so large texts go to a [`Sink`] instead, field by field (`text_wire`).

use crate::limits::MAX_TEXT_DEPTH;
use crate::{Fault, Result};
use std::borrow::Cow;

/// A message: its fields in the order of the text, a list as one field for each element.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Message<'a> {
    /// The fields.
    pub fields: Vec<Field<'a>>,
}

/// A field.
#[derive(Debug, Clone, PartialEq)]
pub struct Field<'a> {
    /// Its name; `[name]` for an extension or the type of an Any.
    pub name: Cow<'a, str>,
    /// The line it is on, from 1.
    pub line: usize,
    /// Its value.
    pub value: Value<'a>,
}

/// A field's value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value<'a> {
    /// Quoted text, with its escapes undone: any bytes.
    Text(Vec<u8>),
    /// A number, an enum's or truth value's name, as written.
    Word(Cow<'a, str>),
    /// A message.
    Message(Message<'a>),
}

/// What a text is handed to, in its own order. An error ends the reading.
pub(crate) trait Sink<'a> {
    /// A field that is quoted text.
    fn text(&mut self, name: &Name<'a>, text: Vec<u8>) -> Result<()>;
    /// A field that is a word.
    fn word(&mut self, name: &Name<'a>, word: Cow<'a, str>) -> Result<()>;
    /// A field that is a message: what follows up to its `close` is inside it.
    fn open(&mut self, name: &Name<'a>) -> Result<()>;
    /// The end of the message that was opened last.
    fn close(&mut self);
}

/// A field's name, and the line it is on.
pub(crate) struct Name<'a> {
    pub(crate) name: Cow<'a, str>,
    pub(crate) line: usize,
}

pub(crate) const PART: &str = "text proto";

/// Reads a message in text format.
pub fn parse(text: &[u8]) -> Result<Message<'_>> {
    let mut tree = Tree::default();
    read(text, &mut tree)?;
    Ok(tree.message)
}

/// Hands a message in text format to `sink`.
pub(crate) fn read<'a>(text: &'a [u8], sink: &mut dyn Sink<'a>) -> Result<()> {
    Parser { text, pos: 0, line: 1, sink }.message(None, 0)
}

#[derive(Default)]
struct Tree<'a> {
    message: Message<'a>,
    /// The messages around it, each with the name of the field that the next one goes to.
    outer: Vec<(Message<'a>, Cow<'a, str>, usize)>,
}

impl<'a> Tree<'a> {
    fn add(&mut self, name: Cow<'a, str>, line: usize, value: Value<'a>) {
        self.message.fields.push(Field { name, line, value });
    }
}

impl<'a> Sink<'a> for Tree<'a> {
    fn text(&mut self, name: &Name<'a>, text: Vec<u8>) -> Result<()> {
        self.add(name.name.clone(), name.line, Value::Text(text));
        Ok(())
    }

    fn word(&mut self, name: &Name<'a>, word: Cow<'a, str>) -> Result<()> {
        self.add(name.name.clone(), name.line, Value::Word(word));
        Ok(())
    }

    fn open(&mut self, name: &Name<'a>) -> Result<()> {
        let outer = std::mem::take(&mut self.message);
        self.outer.push((outer, name.name.clone(), name.line));
        Ok(())
    }

    fn close(&mut self) {
        if let Some((outer, name, line)) = self.outer.pop() {
            let inner = std::mem::replace(&mut self.message, outer);
            self.add(name, line, Value::Message(inner));
        }
    }
}

struct Parser<'a, 's> {
    text: &'a [u8],
    pos: usize,
    line: usize,
    sink: &'s mut dyn Sink<'a>,
}

impl<'a> Parser<'a, '_> {
    fn message(&mut self, close: Option<u8>, depth: usize) -> Result<()> {
        if depth > MAX_TEXT_DEPTH {
            return Err(self.bad(format!("messages nest deeper than {MAX_TEXT_DEPTH}")));
        }
        loop {
            match (self.peek(), close) {
                (None, None) => return Ok(()),
                (None, Some(close)) => {
                    return Err(self.bad(format!("the text ends before a '{}'", char::from(close))));
                }
                (Some(byte), Some(close)) if byte == close => {
                    self.pos += 1;
                    return Ok(());
                }
                (Some(b',' | b';'), _) => self.pos += 1,
                _ => self.field(depth)?,
            }
        }
    }

    fn field(&mut self, depth: usize) -> Result<()> {
        let name = Name { name: self.name()?, line: self.line };
        let colon = self.peek() == Some(b':');
        if colon {
            self.pos += 1;
        }
        if self.peek() != Some(b'[') {
            return self.value(&name, colon, depth);
        }
        self.pos += 1;
        if self.peek() == Some(b']') {
            self.pos += 1;
            return Ok(());
        }
        loop {
            self.value(&name, colon, depth)?;
            match self.peek() {
                Some(b',') => self.pos += 1,
                Some(b']') => {
                    self.pos += 1;
                    return Ok(());
                }
                _ => return Err(self.bad("want ',' or ']' in a list")),
            }
        }
    }

    fn value(&mut self, name: &Name<'a>, colon: bool, depth: usize) -> Result<()> {
        match self.peek() {
            Some(open @ (b'{' | b'<')) => {
                self.pos += 1;
                let close = if open == b'{' { b'}' } else { b'>' };
                self.sink.open(name)?;
                self.message(Some(close), depth + 1)?;
                self.sink.close();
                Ok(())
            }
            _ if !colon => Err(self.bad("want ':' or '{' behind a field's name")),
            Some(b'"' | b'\'') => {
                let mut text = Vec::new();
                // Quoted pieces that follow one another are one text.
                while let Some(quote @ (b'"' | b'\'')) = self.peek() {
                    self.pos += 1;
                    self.quoted(quote, &mut text)?;
                }
                self.sink.text(name, text)
            }
            _ => {
                let minus = self.peek() == Some(b'-');
                self.pos += usize::from(minus);
                self.skip_blank();
                let word = self.word();
                if word.is_empty() {
                    return Err(self.bad("want a value"));
                }
                let minus_word = || Cow::Owned(format!("-{word}"));
                self.sink.word(name, if minus { minus_word() } else { Cow::Borrowed(word) })
            }
        }
    }

    fn name(&mut self) -> Result<Cow<'a, str>> {
        if self.peek() == Some(b'[') {
            let rest = self.text.get(self.pos..).unwrap_or_default();
            let len = rest.iter().position(|&byte| byte == b']').map(|end| end + 1);
            let name = len.and_then(|len| rest.get(..len)).ok_or_else(|| self.bad("want a ']'"))?;
            self.pos += name.len();
            return Ok(String::from_utf8_lossy(name));
        }
        let name = self.word();
        if name.is_empty() {
            let found = self.peek().unwrap_or_default();
            return Err(self.bad(format!("want a field's name, got '{}'", found.escape_ascii())));
        }
        Ok(Cow::Borrowed(name))
    }

    fn word(&mut self) -> &'a str {
        let rest = self.text.get(self.pos..).unwrap_or_default();
        let part = |byte: &&u8| byte.is_ascii_alphanumeric() || b"_.+-".contains(byte);
        let len = rest.iter().take_while(part).count();
        self.pos += len;
        // ASCII, so it is UTF-8.
        std::str::from_utf8(rest.get(..len).unwrap_or_default()).unwrap_or_default()
    }

    fn quoted(&mut self, quote: u8, out: &mut Vec<u8>) -> Result<()> {
        loop {
            match self.next_byte() {
                Some(byte) if byte == quote => return Ok(()),
                Some(b'\\') => self.escape(out)?,
                None | Some(b'\n') => {
                    return Err(self.bad("a quoted text does not end on its line"));
                }
                Some(byte) => out.push(byte),
            }
        }
    }

    fn escape(&mut self, out: &mut Vec<u8>) -> Result<()> {
        let Some(kind) = self.next_byte() else {
            return Err(self.bad("the text ends in an escape"));
        };
        let simple = match kind {
            b'a' => 0x07,
            b'b' => 0x08,
            b'f' => 0x0c,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'v' => 0x0b,
            b'\\' | b'\'' | b'"' | b'?' => kind,
            b'0'..=b'7' => {
                self.pos -= 1;
                let value = self.digits(8, 3)?;
                u8::try_from(value).map_err(|_| self.bad("an octal escape above 377"))?
            }
            b'x' | b'X' => self.digits(16, 2)? as u8,
            b'u' | b'U' => {
                let want = if kind == b'u' { 4 } else { 8 };
                let start = self.pos;
                let value = self.digits(16, want)?;
                let scalar = char::from_u32(value).filter(|_| self.pos - start == want);
                let scalar = scalar.ok_or_else(|| self.bad("a bad Unicode escape"))?;
                out.extend_from_slice(scalar.encode_utf8(&mut [0; 4]).as_bytes());
                return Ok(());
            }
            _ => return Err(self.bad(format!("no escape \\{}", kind.escape_ascii()))),
        };
        out.push(simple);
        Ok(())
    }

    fn digits(&mut self, radix: u32, most: usize) -> Result<u32> {
        let rest = self.text.get(self.pos..).unwrap_or_default();
        let digits = rest.iter().take(most).map_while(|&byte| char::from(byte).to_digit(radix));
        let (len, value) =
            digits.fold((0, 0_u32), |(len, value), digit| (len + 1, value * radix + digit));
        if len == 0 {
            return Err(self.bad("an escape without digits"));
        }
        self.pos += len;
        Ok(value)
    }

    fn next_byte(&mut self) -> Option<u8> {
        let byte = *self.text.get(self.pos)?;
        self.pos += 1;
        Some(byte)
    }

    /// The next byte that is neither blank nor comment.
    fn peek(&mut self) -> Option<u8> {
        self.skip_blank();
        self.text.get(self.pos).copied()
    }

    fn skip_blank(&mut self) {
        let mut comment = false;
        while let Some(&byte) = self.text.get(self.pos) {
            match byte {
                b'\n' => {
                    comment = false;
                    self.line += 1;
                }
                b'#' => comment = true,
                b' ' | b'\t' | b'\r' | 0x0b | 0x0c => {}
                _ if comment => {}
                _ => return,
            }
            self.pos += 1;
        }
    }

    fn bad(&self, what: impl std::fmt::Display) -> Fault {
        Fault::corrupt(PART, format!("line {}: {what}", self.line))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(bytes: &[u8]) -> Value<'static> {
        Value::Text(bytes.to_vec())
    }

    fn word(word: &str) -> Value<'_> {
        Value::Word(word.into())
    }

    fn flat(source: &str) -> Vec<(String, Value<'_>)> {
        parse(source.as_bytes())
            .unwrap()
            .fields
            .into_iter()
            .map(|field| (field.name.to_string(), field.value))
            .collect()
    }

    #[test]
    fn everything_the_format_has() {
        let fields = flat(
            "# a comment\r\n a: 'x\\'' \"\\x41\\101\\n\\u00e9\" # another\n b: -1.5e+3, c: TRUE; d { e: 1 }\n\
             f < g: [1, 2] >  h: [ { i: 1 }, < > ] [some.ext]: 7 j: [] k { }",
        );
        let inner = |name: &'static str, value| Field { name: name.into(), line: 3, value };
        let message = |fields| Value::Message(Message { fields });
        assert_eq!(fields[0], ("a".into(), text("x'AA\né".as_bytes())));
        assert_eq!(fields[1], ("b".into(), word("-1.5e+3")));
        assert_eq!(fields[2], ("c".into(), word("TRUE")));
        assert_eq!(fields[3], ("d".into(), message(vec![inner("e", word("1"))])));
        assert_eq!(
            fields[4],
            ("f".into(), message(vec![inner("g", word("1")), inner("g", word("2"))]))
                .clone()
                .into_line(4)
        );
        assert_eq!(fields[5].0, "h");
        assert_eq!(fields[6], ("h".into(), message(vec![])));
        assert_eq!(fields[7], ("[some.ext]".into(), word("7")));
        assert_eq!(fields[8], ("k".into(), message(vec![])));
    }

    trait IntoLine {
        fn into_line(self, line: usize) -> Self;
    }

    impl IntoLine for (String, Value<'_>) {
        fn into_line(mut self, line: usize) -> Self {
            if let Value::Message(message) = &mut self.1 {
                message.fields.iter_mut().for_each(|field| field.line = line);
            }
            self
        }
    }

    #[test]
    fn broken_text_names_its_line() {
        for (source, what) in [
            ("a: \"x", "line 1: a quoted text does not end on its line"),
            ("a: 1\nb", "line 2: want ':' or '{' behind a field's name"),
            ("a: 1\n\nb {", "line 3: the text ends before a '}'"),
            ("a: \"\\q\"", "line 1: no escape \\q"),
            ("a: \"\\777\"", "line 1: an octal escape above 377"),
            ("a: \"\\ud800\"", "line 1: a bad Unicode escape"),
            ("a:", "line 1: want a value"),
            ("a: [1 2]", "line 1: want ',' or ']' in a list"),
            ("\u{feff}a: 1", "line 1: want a field's name, got '\\xef'"),
            ("}", "line 1: want a field's name, got '}'"),
        ] {
            assert_eq!(parse(source.as_bytes()).unwrap_err().what(), what, "{source}");
        }
        let deep = "a{".repeat(100_000);
        assert!(parse(deep.as_bytes()).unwrap_err().what().contains("nest deeper than 100"));
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_tree_or_an_error(bytes: Vec<u8>) {
            let _ = parse(&bytes);
        }

        #[test]
        fn any_text_survives_its_escapes(bytes: Vec<u8>) {
            let quoted: String = bytes.iter().map(|byte| format!("\\{byte:03o}")).collect();
            let source = format!("a: \"{quoted}\"");
            prop_assert_eq!(flat(&source), [("a".to_owned(), text(&bytes))]);
        }
    }
}
