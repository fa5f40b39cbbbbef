//! A file taken apart, piece by piece as it comes, without ever holding more than the longest record
//! that can be a form.
//!
//! Rows of CSV are taken strictly (RFC 4180). A lenient reader makes something of whatever it meets,
//! and in a file with one quote too many that something is a ticket that nobody wrote.

use std::mem;

/// Longest line of JSON or row of CSV, in bytes: as the longest body of a form.
pub const RECORD_BYTES_MAX: usize = http::body::BODY_BYTES_MAX;

/// What some programs write before a text in UTF-8.
const BYTE_ORDER_MARK: &[u8; 3] = b"\xef\xbb\xbf";

/// Why a record cannot be read at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    /// It is longer than any form.
    TooLong,
    /// A cell that does not begin with a quote has one, or goes on after the closing one.
    StrayQuote,
    /// A quote is opened and never closed, so that all the rest of the file would be in it.
    UnclosedQuote,
}

/// What stands in one line, or in CSV in one row.
#[derive(Debug, PartialEq, Eq)]
pub struct Record {
    /// The line on which it begins, from 1.
    pub line: u64,
    /// Its cells; a line of JSON has one.
    pub content: Result<Vec<Vec<u8>>, Flaw>,
}

/// Takes a file apart.
pub enum Splitter {
    Lines(Lines),
    Rows(Rows),
}

impl Splitter {
    /// Finds the records that end in the next piece.
    pub fn push(&mut self, piece: &[u8], found: &mut Vec<Record>) {
        match self {
            Self::Lines(lines) => lines.push(piece, found),
            Self::Rows(rows) => rows.push(piece, found),
        }
    }

    /// Finds the one that ends with the file.
    pub fn finish(&mut self, found: &mut Vec<Record>) {
        match self {
            Self::Lines(lines) => lines.end(found),
            Self::Rows(rows) => rows.finish(found),
        }
    }
}

/// Of JSON, one object a line. Blank lines are no records.
#[derive(Default)]
pub struct Lines {
    /// How many there were before.
    before: u64,
    held: Vec<u8>,
    is_too_long: bool,
}

impl Lines {
    fn push(&mut self, piece: &[u8], found: &mut Vec<Record>) {
        let mut parts = piece.split(|byte| *byte == b'\n');
        self.hold(parts.next().unwrap_or_default());
        for part in parts {
            self.end(found);
            self.hold(part);
        }
    }

    fn hold(&mut self, part: &[u8]) {
        self.is_too_long |= self.held.len() + part.len() > RECORD_BYTES_MAX + 1;
        if self.is_too_long {
            self.held = Vec::new();
        } else {
            self.held.extend_from_slice(part);
        }
    }

    fn end(&mut self, found: &mut Vec<Record>) {
        let mut held = mem::take(&mut self.held);
        if self.before == 0 && held.starts_with(BYTE_ORDER_MARK) {
            held.drain(..BYTE_ORDER_MARK.len());
        }
        self.before += 1;
        let is_too_long = mem::take(&mut self.is_too_long) || {
            held.truncate(held.strip_suffix(b"\r").map_or(held.len(), <[u8]>::len));
            held.len() > RECORD_BYTES_MAX
        };
        let content = if is_too_long { Err(Flaw::TooLong) } else { Ok(vec![held]) };
        let is_blank = matches!(&content, Ok(cells) if cells[0].trim_ascii().is_empty());
        if !is_blank {
            found.push(Record { line: self.before, content });
        }
    }
}

/// Where in a row a reader is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// At the beginning of the file, where so much of a byte order mark was.
    Mark(usize),
    /// At the beginning of a cell.
    Cell,
    /// In one without quotes.
    Bare,
    /// In one with quotes.
    Quoted,
    /// Behind a quote in such a one: it ends there, or another quote follows.
    Quote,
    /// Behind the end of such a one and a carriage return.
    Return,
    /// In what is left of a line that cannot be read.
    Rest,
}

/// Of CSV. Blank lines are no records.
pub struct Rows {
    at: At,
    /// The line that is read, and the one on which the record began.
    line: u64,
    began: u64,
    cells: Vec<Vec<u8>>,
    cell: Vec<u8>,
    /// Bytes of the record.
    bytes: usize,
    flaw: Option<Flaw>,
    has_quotes: bool,
}

impl Default for Rows {
    fn default() -> Self {
        Self {
            at: At::Mark(0),
            line: 1,
            began: 1,
            cells: Vec::new(),
            cell: Vec::new(),
            bytes: 0,
            flaw: None,
            has_quotes: false,
        }
    }
}

impl Rows {
    fn push(&mut self, piece: &[u8], found: &mut Vec<Record>) {
        for byte in piece {
            self.take(*byte, found);
        }
    }

    fn take(&mut self, byte: u8, found: &mut Vec<Record>) {
        if let At::Mark(length) = self.at {
            return self.take_mark(length, byte, found);
        }
        self.bytes += 1;
        if self.bytes > RECORD_BYTES_MAX && byte != b'\n' {
            self.refuse(Flaw::TooLong);
        }
        match (self.at, byte) {
            (At::Quoted, b'"') => self.at = At::Quote,
            (At::Quoted, _) => {
                self.line += u64::from(byte == b'\n');
                self.keep(byte);
            }
            (At::Quote, b'"') => {
                self.keep(byte);
                self.at = At::Quoted;
            }
            (_, b'\n') => self.end(found),
            (At::Rest, _) => {}
            (At::Cell, b'"') => {
                self.has_quotes = true;
                self.at = At::Quoted;
            }
            (At::Cell | At::Bare | At::Quote, b',') => self.end_cell(),
            (At::Quote, b'\r') => self.at = At::Return,
            (At::Bare, b'"') | (At::Quote | At::Return, _) => {
                self.refuse(Flaw::StrayQuote);
                self.at = At::Rest;
            }
            (At::Cell | At::Bare | At::Mark(_), _) => {
                self.keep(byte);
                self.at = At::Bare;
            }
        }
    }

    /// What looked like a mark and is none is text.
    fn take_mark(&mut self, length: usize, byte: u8, found: &mut Vec<Record>) {
        if BYTE_ORDER_MARK.get(length) == Some(&byte) {
            let is_whole = length + 1 == BYTE_ORDER_MARK.len();
            self.at = if is_whole { At::Cell } else { At::Mark(length + 1) };
            return;
        }
        self.at = At::Cell;
        for byte in BYTE_ORDER_MARK.iter().take(length).chain([&byte]) {
            self.take(*byte, found);
        }
    }

    /// The first thing that is wrong with a record is told, and nothing of it is held any more.
    fn refuse(&mut self, flaw: Flaw) {
        self.flaw.get_or_insert(flaw);
        self.cells = Vec::new();
        self.cell = Vec::new();
    }

    fn keep(&mut self, byte: u8) {
        if self.flaw.is_none() {
            self.cell.push(byte);
        }
    }

    fn end_cell(&mut self) {
        let cell = mem::take(&mut self.cell);
        if self.flaw.is_none() {
            self.cells.push(cell);
        }
        self.at = At::Cell;
    }

    fn end(&mut self, found: &mut Vec<Record>) {
        if self.at == At::Bare && self.cell.last() == Some(&b'\r') {
            self.cell.pop();
        }
        self.end_cell();
        let cells = mem::take(&mut self.cells);
        let content = self.flaw.take().map_or(Ok(cells), Err);
        let is_blank = !mem::take(&mut self.has_quotes)
            && matches!(&content, Ok(cells) if matches!(&cells[..], [cell] if cell.is_empty()));
        if !is_blank {
            found.push(Record { line: self.began, content });
        }
        self.line += 1;
        self.began = self.line;
        self.bytes = 0;
    }

    fn finish(&mut self, found: &mut Vec<Record>) {
        if let At::Mark(length) = self.at {
            self.at = At::Cell;
            self.push(&BYTE_ORDER_MARK[..length], found);
        }
        if self.at == At::Quoted {
            // Whatever else is wrong with it follows from that.
            self.flaw = Some(Flaw::UnclosedQuote);
        }
        if self.bytes > 0 {
            self.end(found);
        }
    }
}

#[cfg(test)]
mod tests;
