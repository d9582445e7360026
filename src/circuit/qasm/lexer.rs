//! Text to tokens.

use super::Position;
use crate::error::{Result, quoted};

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Word {
    Name(String),
    Integer(u64),
    Real(f64),
    Text(String),
    Symbol(&'static str),
    End,
}

impl Word {
    /// As an error shows it.
    pub(super) fn shown(&self) -> String {
        match self {
            Word::Name(name) => format!("'{}'", quoted(name)),
            Word::Integer(value) => format!("'{value}'"),
            Word::Real(value) => format!("'{value}'"),
            Word::Text(text) => format!("\"{}\"", quoted(text)),
            Word::Symbol(symbol) => format!("'{symbol}'"),
            Word::End => "the end of the text".into(),
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Token {
    pub word: Word,
    pub at: Position,
}

/// Longer ones first.
const SYMBOLS: [&str; 23] = [
    "->", "==", "**", "!=", "&&", "||", ";", ",", "(", ")", "[", "]", "{", "}", "=", "+", "-", "*", "/", "^", ":", "@",
    "!",
];

/// All tokens, and one for the end.
pub(super) fn tokens(text: &str) -> Result<Vec<Token>> {
    let mut tokens = Vec::new();
    let (mut rest, mut at) = (text, Position { line: 1, column: 1 });
    let advance = |rest: &mut &str, at: &mut Position, bytes: usize| {
        for c in rest[..bytes].chars() {
            if c == '\n' {
                *at = Position { line: at.line.saturating_add(1), column: 1 };
            } else {
                at.column = at.column.saturating_add(1);
            }
        }
        *rest = &rest[bytes..];
    };
    while let Some(c) = rest.chars().next() {
        if c.is_whitespace() || (c == '\u{feff}' && tokens.is_empty()) {
            advance(&mut rest, &mut at, c.len_utf8());
        } else if rest.starts_with("//") {
            let length = rest.find('\n').unwrap_or(rest.len());
            advance(&mut rest, &mut at, length);
        } else if rest.starts_with("/*") {
            let Some(length) = rest.find("*/") else { return Err(at.error("comment /* without its */")) };
            advance(&mut rest, &mut at, length + 2);
        } else {
            let (word, length) = word(rest, at)?;
            tokens.push(Token { word, at });
            advance(&mut rest, &mut at, length);
        }
    }
    tokens.push(Token { word: Word::End, at });
    Ok(tokens)
}

fn word(rest: &str, at: Position) -> Result<(Word, usize)> {
    let first = rest.chars().next().unwrap_or(' ');
    let bytes = rest.as_bytes();
    if first.is_alphabetic() || first == '_' {
        let length = rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
        return Ok((Word::Name(rest[..length].to_owned()), length));
    }
    if first.is_ascii_digit() || (first == '.' && bytes.get(1).is_some_and(u8::is_ascii_digit)) {
        let digits = |from: usize| bytes[from..].iter().take_while(|b| b.is_ascii_digit()).count();
        let mut length = digits(0);
        let mut real = false;
        if bytes.get(length) == Some(&b'.') {
            real = true;
            length += 1;
            length += digits(length);
        }
        if matches!(bytes.get(length), Some(b'e' | b'E')) {
            let sign = usize::from(matches!(bytes.get(length + 1), Some(b'+' | b'-')));
            let exponent = digits((length + 1 + sign).min(bytes.len()));
            if exponent > 0 {
                real = true;
                length += 1 + sign + exponent;
            }
        }
        let shown = || quoted(&rest[..length.min(40)]);
        if real {
            let value: f64 = rest[..length].parse().map_err(|_| at.error(format!("'{}' is no number", shown())))?;
            if !value.is_finite() {
                return Err(at.error(format!("the number {} is too large", shown())));
            }
            return Ok((Word::Real(value), length));
        }
        let value = rest[..length].parse().map_err(|_| at.error(format!("the integer {} is too large", shown())))?;
        return Ok((Word::Integer(value), length));
    }
    if first == '"' || first == '\'' {
        let inside = &rest[1..];
        return match inside.find(first) {
            Some(length) if !inside[..length].contains('\n') => {
                Ok((Word::Text(inside[..length].to_owned()), length + 2))
            }
            _ => Err(at.error("text without its closing quote")),
        };
    }
    match SYMBOLS.iter().find(|s| rest.starts_with(**s)) {
        Some(symbol) => Ok((Word::Symbol(symbol), symbol.len())),
        None => Err(at.error(format!("unexpected character '{}'", quoted(&first.to_string())))),
    }
}

/// Tokens with a place in them.
#[derive(Debug)]
pub(super) struct Cursor {
    tokens: Vec<Token>,
    pub next: usize,
}

impl Cursor {
    pub(super) fn new(text: &str) -> Result<Self> {
        Ok(Cursor { tokens: tokens(text)?, next: 0 })
    }

    fn token(&self, ahead: usize) -> &Token {
        // The last one is the end, and is never passed.
        &self.tokens[(self.next + ahead).min(self.tokens.len() - 1)]
    }

    pub(super) fn peek(&self) -> &Word {
        &self.token(0).word
    }

    pub(super) fn second(&self) -> &Word {
        &self.token(1).word
    }

    pub(super) fn at(&self) -> Position {
        self.token(0).at
    }

    pub(super) fn take(&mut self) -> Word {
        let word = self.peek().clone();
        self.next = (self.next + 1).min(self.tokens.len() - 1);
        word
    }

    /// Whether the next token is this symbol, which is then passed.
    pub(super) fn accept(&mut self, symbol: &str) -> bool {
        let is = self.is(symbol);
        if is {
            self.take();
        }
        is
    }

    pub(super) fn is(&self, symbol: &str) -> bool {
        matches!(self.peek(), Word::Symbol(s) if *s == symbol)
    }

    pub(super) fn is_name(&self, name: &str) -> bool {
        matches!(self.peek(), Word::Name(n) if n == name)
    }

    pub(super) fn expect(&mut self, symbol: &str) -> Result<()> {
        if self.accept(symbol) {
            return Ok(());
        }
        Err(self.at().error(format!("expected '{symbol}', found {}", self.peek().shown())))
    }

    pub(super) fn name(&mut self, what: &str) -> Result<String> {
        let at = self.at();
        match self.take() {
            Word::Name(name) => Ok(name),
            other => Err(at.error(format!("expected {what}, found {}", other.shown()))),
        }
    }

    /// The words from a place on to the next one to come.
    pub(super) fn since(&self, start: usize) -> impl Iterator<Item = &Word> {
        self.tokens[start..self.next].iter().map(|t| &t.word)
    }

    /// The words up to the end.
    pub(super) fn words(&self) -> impl Iterator<Item = &Word> {
        self.tokens[..self.tokens.len() - 1].iter().map(|t| &t.word)
    }
}
