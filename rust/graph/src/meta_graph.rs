//! A file with graphs in it, and one graph of it with all that belongs to it.
//!
//! ```text
//! SavedModel { 2 MetaGraphDef* }
//! MetaGraphDef { 1 meta_info_def  2 graph_def  3 saver_def  4 collection_def*  5 signature_def*  … }
//! GraphDef { 1 node*  2 library  3 version  4 versions  5 debug_info }
//! ```
//!
//! A SavedModel in chunks (`.cpb`) is put together first. A message that comes again is merged, as protobuf does: its parts are kept as a list of places.

use crate::body::{Body, Builder, string_field};
use crate::detect::{Form, What, detect};
use crate::graph::Graph;
use crate::library::Library;
use crate::names::{Named, Names};
use crate::span::{MAX_LEN, Source, Span};
use bytes::Bytes;
use once_cell::race::OnceBox;
use tensorbundle_wire::pb::{Value, fields};
use tensorbundle_wire::schema::schema;
use tensorbundle_wire::{Fault, Result, chunked, lookalike, riegeli, text_wire};

/// A file with one or more graphs.
pub struct File {
    source: Source,
    what: What,
    graphs: Vec<Span>,
}

impl File {
    /// Finds out what `bytes` are; a text becomes binary and chunks become one, which takes memory.
    pub fn parse(bytes: Bytes) -> Result<Self> {
        if riegeli::is_riegeli(&bytes) {
            return Self::in_chunks(&bytes);
        }
        let (what, form) = detect(&bytes)?;
        if bytes.len() > MAX_LEN {
            let what = format!("{} bytes: protobuf messages have less than 2 GiB", bytes.len());
            return Err(Fault::unsupported("meta graph", what));
        }
        let source = match form {
            Form::Binary => Source::new(bytes, false),
            Form::Text => {
                let missing = || Fault::unsupported("meta graph", "no such message type");
                let ty = schema().message(what.full_name()).ok_or_else(missing)?;
                let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
                Source::new(text_wire::encode(text, ty)?.into(), true)
            }
        };
        Self::of(source, what)
    }

    /// A SavedModel in chunks.
    fn in_chunks(file: &[u8]) -> Result<Self> {
        let what = What::SavedModel;
        let ty = schema().message(what.full_name());
        let ty = ty.ok_or_else(|| Fault::unsupported("chunked message", "no such message type"))?;
        let whole = chunked::assemble(file, ty)?;
        if whole.len() > MAX_LEN {
            let text =
                format!("{} bytes when put together: more than can be addressed", whole.len());
            return Err(Fault::unsupported("chunked message", text));
        }
        // Chunks change the order of fields, by which a file is told: but only a SavedModel comes in chunks.
        Self::of(Source::new(whole.into(), true), what)
    }

    fn of(source: Source, what: What) -> Result<Self> {
        let whole = source.span(source.all());
        let graphs = match what {
            What::SavedModel => pieces(&source, whole, 2)?,
            What::MetaGraph | What::Graph => vec![whole],
        };
        Ok(Self { source, what, graphs })
    }

    /// The version of a SavedModel's format; 0 if the file does not say.
    pub fn schema_version(&self) -> Result<i64> {
        let whole = self.source.span(self.source.all());
        let mut version = 0;
        for field in fields(self.source.all()) {
            let field = field.map_err(|why| self.source.malformed("SavedModel", whole, why))?;
            if let (What::SavedModel, (1, Value::Varint(number))) = (self.what, field) {
                version = number as i64;
            }
        }
        Ok(version)
    }

    /// What the file is.
    pub fn what(&self) -> What {
        self.what
    }

    /// How many graphs it has.
    pub fn len(&self) -> usize {
        self.graphs.len()
    }

    /// It has no graphs.
    pub fn is_empty(&self) -> bool {
        self.graphs.is_empty()
    }

    /// The tags of graph `i`, as they stand in its `meta_info_def`.
    pub fn tags(&self, i: usize) -> Result<Vec<Bytes>> {
        let mut tags = Vec::new();
        if let (Some(&graph), true) = (self.graphs.get(i), self.what != What::Graph) {
            for info in pieces(&self.source, graph, 1)? {
                let found = pieces(&self.source, info, 4)?;
                tags.extend(found.into_iter().map(|tag| self.source.slice(tag)));
            }
        }
        Ok(tags)
    }

    /// Graph `i`, with all that belongs to it.
    pub fn meta_graph(&self, i: usize) -> Result<MetaGraph> {
        let span = *self.graphs.get(i).ok_or_else(|| {
            Fault::corrupt("meta graph", format!("no graph {i} among {}", self.graphs.len()))
        })?;
        MetaGraph::open(&self.source, self.what, span).map_err(|fault| {
            let head = self.source.all();
            let head = head.get(..head.len().min(lookalike::HEAD_LEN as usize)).unwrap_or_default();
            match lookalike::describe(head, self.source.all().len() as u64) {
                Some(looks) => fault.advise(looks),
                None => fault.advise("the file was cut short, or its bytes are damaged"),
            }
        })
    }
}

/// A graph with all that belongs to it.
pub struct MetaGraph {
    source: Source,
    what: What,
    span: Span,
    body: Body,
    library: Library,
    graphs: Vec<Span>,
    infos: Vec<Span>,
    op_defs: OnceBox<OpDefs>,
    producer: i32,
}

/// The definitions of ops in the file.
struct OpDefs {
    rows: Vec<(Span, Span)>, // name, OpDef
    names: Names,
}

impl MetaGraph {
    fn open(source: &Source, what: What, span: Span) -> Result<Self> {
        let (graphs, infos) = match what {
            What::Graph => (vec![span], Vec::new()),
            _ => (pieces(source, span, 2)?, pieces(source, span, 1)?),
        };
        let mut nodes = Builder::new(source);
        let mut libraries = Vec::new();
        let (mut version, mut versions) = (0, 0);
        for &graph in &graphs {
            let mut all = fields(source.get(graph));
            while let Some(field) =
                all.next_field().map_err(|why| source.malformed("GraphDef", graph, why))?
            {
                match field {
                    (1, Value::Len(node)) => nodes.node(node)?,
                    (2, Value::Len(library)) => libraries.push(source.span(library)),
                    (3, Value::Varint(number)) => version = number as i32,
                    (4, Value::Len(message)) => {
                        let mut parts = fields(message);
                        while let Some(part) = parts
                            .next_field()
                            .map_err(|why| source.malformed("versions", graph, why))?
                        {
                            if let (1, Value::Varint(number)) = part {
                                versions = number as i32;
                            }
                        }
                    }
                    _ => {}
                }
            }
        }
        Ok(Self {
            source: source.clone(),
            what,
            span,
            body: nodes.finish(),
            library: Library::new(source, &libraries)?,
            graphs,
            infos,
            op_defs: OnceBox::new(),
            producer: if versions != 0 { versions } else { version },
        })
    }

    /// What kind of file it comes from.
    pub fn what(&self) -> What {
        self.what
    }

    /// The serialized MetaGraphDef, or GraphDef if the file has no more.
    pub fn message(&self) -> Bytes {
        self.source.slice(self.span)
    }

    /// The version of the format of graphs that its producer wrote; 0 if it does not say.
    pub fn producer(&self) -> i32 {
        self.producer
    }

    /// The functions.
    pub fn library(&self) -> &Library {
        &self.library
    }

    /// The graph.
    pub fn graph(&self) -> Graph<'_> {
        Graph::new(self, &self.body, None)
    }

    /// The nodes of function `i`.
    pub fn function(&self, i: u32) -> Result<Option<Graph<'_>>> {
        Ok(self.library.body(i)?.map(|body| Graph::new(self, body, Some(i))))
    }

    /// The graph, or a function of it.
    pub fn graph_of(&self, function: Option<u32>) -> Result<Graph<'_>> {
        match function {
            None => Ok(self.graph()),
            Some(i) => self
                .function(i)?
                .ok_or_else(|| Fault::corrupt("function library", format!("no function {i}"))),
        }
    }

    /// The GraphDef, in as many parts as it stands in.
    pub(crate) fn graph_parts(&self) -> Vec<&[u8]> {
        self.graphs.iter().map(|&graph| self.source.get(graph)).collect()
    }

    pub(crate) fn source(&self) -> &Source {
        &self.source
    }

    /// The definition of an op in the file: in its op list, or of a function.
    pub fn op_def(&self, op: &[u8]) -> Result<Option<&[u8]>> {
        if let Some(i) = self.library.one(op) {
            return Ok(Some(self.library.signature(i)));
        }
        let defs = self.op_defs.get_or_try_init(|| self.read_op_defs().map(Box::new))?;
        let name = |i: u32| defs.rows.get(i as usize).map_or(&[][..], |row| self.source.get(row.0));
        Ok(match defs.names.find(defs.rows.len(), name, op) {
            Named::None => None,
            Named::One(i) | Named::Several(i, _) => {
                defs.rows.get(i as usize).map(|row| self.source.get(row.1))
            }
        })
    }

    /// The same, kept alive.
    pub fn op_def_bytes(&self, op: &[u8]) -> Result<Option<Bytes>> {
        Ok(self.op_def(op)?.map(|def| self.source.all().slice_ref(def)))
    }

    fn read_op_defs(&self) -> Result<OpDefs> {
        let mut rows = Vec::new();
        for &info in &self.infos {
            for list in pieces(&self.source, info, 2)? {
                for def in pieces(&self.source, list, 1)? {
                    let name = string_field(self.source.get(def), 1)
                        .map_err(|why| self.source.malformed("op list", def, why))?;
                    if !name.is_empty() {
                        rows.push((self.source.span(name), def));
                    }
                }
            }
        }
        Ok(OpDefs { rows, names: Names::new() })
    }

    /// The collections: key and serialized CollectionDef, the last of each key, in order of their keys.
    pub fn collections(&self) -> Result<Vec<(Bytes, Bytes)>> {
        let mut found = std::collections::BTreeMap::new();
        if self.what != What::Graph {
            for entry in pieces(&self.source, self.span, 4)? {
                let bad = |why| self.source.malformed("collection", entry, why);
                let (key, value) = crate::node::map_entry(self.source.get(entry)).map_err(bad)?;
                found.insert(self.source.all().slice_ref(key), value.join(&self.source));
            }
        }
        Ok(found.into_iter().collect())
    }

    /// Where the object graph is, as often as it comes.
    pub(crate) fn object_graphs(&self) -> Result<Vec<Span>> {
        match self.what {
            What::Graph => Ok(Vec::new()),
            _ => pieces(&self.source, self.span, 7),
        }
    }

    /// The serialized SaverDef, if the file has one.
    pub fn saver_def(&self) -> Result<Option<Bytes>> {
        if self.what == What::Graph {
            return Ok(None);
        }
        Ok(match pieces(&self.source, self.span, 3)?.as_slice() {
            [] => None,
            [one] => Some(self.source.slice(*one)),
            several => {
                let parts = several.iter().map(|&part| self.source.get(part));
                Some(parts.collect::<Vec<_>>().concat().into())
            }
        })
    }
}

/// Where a field of a message is, as often as it comes.
pub(crate) fn pieces(source: &Source, message: Span, number: u32) -> Result<Vec<Span>> {
    let mut found = Vec::new();
    let mut all = fields(source.get(message));
    while let Some(field) =
        all.next_field().map_err(|why| source.malformed("meta graph", message, why))?
    {
        if let (n, Value::Len(bytes)) = field
            && n == number
        {
            found.push(source.span(bytes));
        }
    }
    Ok(found)
}
