//! One checkpoint, as rows: from its index, and what is known of its files; from its data only if asked.
//!
//! ```text
//! ok          it opens, and its shards are there and long enough; if data is checked: nothing was found
//! damaged     it opens, but something of it is wrong or lost
//! broken      it does not open; what can be saved of its index is listed all the same
//! temporary   of a writer that did not finish, or has not yet
//! ```
//!
//! What looks wrong is looked at by `verify`, so that a finding is the same sentence there and here.

use super::columns::{Facts, Tables, Wrong, path_text};
use super::sound::sound;
use super::values::Values;
use super::walk::{Place, Stamp, What};
use crate::arrow::{Roles, Table, signed, text};
use crate::meta_file::open_meta_graph;
use crate::object_graph::OBJECT_GRAPH;
use crate::variables::join;
use crate::verify::verify;
use arrow_array::RecordBatch;
use arrow_schema::ArrowError;
use std::path::{Path, PathBuf};
use tensorbundle_store::{
    Error, Files, Finding, FindingKind, Format, Listing, Options, Result, Stopped, Tensors, Watch,
    dir_and_name, on_all_cores,
};
use tensorbundle_wire::bundle::{ByteOrder, elements};
use tensorbundle_wire::fingerprint::fingerprint64;
use tensorbundle_wire::message::Message;
use tensorbundle_wire::schema::schema;

/// How checkpoints are scanned.
#[derive(Clone, Default)]
pub struct ScanOptions {
    /// Where they are.
    pub files: Files,
    /// Check all data, too.
    pub verify: bool,
    /// Say what the values are like, too.
    pub stats: bool,
    /// Map the shards for that.
    pub mmap: bool,
}

/// So many checkpoints are one piece of work.
const GROUP: usize = 128;

/// The same of a store, whose answers take longer than the work.
const REMOTE_GROUP: usize = 4;

/// Graph files are read up to this size; larger ones are mapped.
const READ_GRAPH: u64 = 32 << 20;

/// The tables of `places`: checkpoints, tensors, findings and stats, in their order. `watch` hears how many are done. The outer
/// error is that it stopped the work.
pub fn scan(
    places: &[Place],
    options: &ScanOptions,
    watch: &mut Watch<'_>,
) -> Result<Result<[Table; 4], ArrowError>, Stopped> {
    let group = if options.files.is_remote() { REMOTE_GROUP } else { GROUP };
    let jobs = places.len().div_ceil(group);
    // Work is counted in bytes there; a checkpoint is worth a thread.
    const EACH: u64 = 1 << 24;
    let mut watch = |done: u64, total: u64| watch(done / EACH, total / EACH);
    let total = places.len() as u64 * EACH;
    let made = on_all_cores(&options.files, jobs, total, &mut watch, |job, worker| {
        let mut tables = Tables::default();
        for place in places.iter().skip(job * group).take(group) {
            let mut go_on = |_: u64, _: u64| worker.advance(0);
            tables.append(place, options, &mut go_on)?;
            if !worker.advance(EACH) {
                break;
            }
        }
        tables.finish()
    })?;
    Ok(put_together(made))
}

fn put_together(
    all: Vec<Result<[Vec<RecordBatch>; 4], ArrowError>>,
) -> Result<[Table; 4], ArrowError> {
    let schemas = [
        Tables::checkpoints_schema(),
        Tables::tensors_schema(),
        Tables::findings_schema(),
        Tables::stats_schema(),
    ];
    let mut tables = schemas.map(|schema| Table { schema, batches: Vec::new() });
    for made in all {
        for (table, batches) in tables.iter_mut().zip(made?) {
            table.batches.extend(batches.into_iter().filter(|batch| batch.num_rows() > 0));
        }
    }
    Ok(tables)
}

impl Tables {
    /// Appends the rows of one place.
    fn append(
        &mut self,
        place: &Place,
        options: &ScanOptions,
        watch: &mut Watch<'_>,
    ) -> Result<(), ArrowError> {
        let files = &options.files.knowing(place.stamps.iter().map(Stamp::stat));
        let mut facts = Facts::of(place, options);
        let located = match &place.what {
            What::Checkpoint(located) => located,
            What::Temporary(reason) => {
                facts.status = "temporary";
                facts.reason = Some((*reason).to_owned());
                self.checkpoints.push(facts);
                return Ok(());
            }
            What::NoIndex => {
                let text = "data shards without an index: half a copy, or the index was removed";
                self.broken(facts, "missing index", text.to_owned());
                return Ok(());
            }
            What::Hidden(text) => {
                facts.signature.clear();
                self.broken(facts, FindingKind::Unreadable.name(), text.clone());
                return Ok(());
            }
            What::Nothing => {
                let text = "there is no checkpoint of this name";
                self.broken(facts, "nothing there", format!("{}: {text}", facts_path(place)));
                return Ok(());
            }
        };
        let quick = match options.verify {
            true => None,
            false => Some(sound(files, located, place)),
        };
        match quick {
            Some(Ok(Some(tensors))) => {
                facts.status = "ok";
                return self.opened(facts, &tensors, place.graph(files), options, watch);
            }
            Some(Ok(None)) | None => facts.status = "damaged",
            Some(Err(_)) => facts.status = "broken",
        }
        let how = Options { files: files.anew(), mmap: options.mmap, verify: false };
        let verified = match verify(located, how.clone(), options.verify, watch) {
            Ok(Ok(verified)) => verified,
            Ok(Err(Stopped)) => return Ok(()), // so is the whole scan
            Err(error) => {
                facts.not_read(&error);
                self.broken(facts, kind_of(&error), error.to_string());
                return Ok(());
            }
        };
        if options.verify && located.open(how).and_then(|it| it.listing().map(|_| ())).is_err() {
            facts.status = "broken";
        }
        let findings: Vec<_> = verified.checked.findings.iter().map(wrong).collect();
        facts.reason = findings.first().map(|first| first.text.clone());
        if findings.is_empty() {
            facts.status = "ok";
        }
        findings.iter().for_each(|found| self.wrong(&facts.path, found));
        verified
            .checked
            .findings
            .iter()
            .filter(|it| it.kind == FindingKind::Unreadable)
            .for_each(|it| facts.not_read(&it.error));
        self.opened(facts, &verified.tensors, place.graph(files), options, watch)
    }

    /// Appends what an open checkpoint, and the graph beside it, say.
    fn opened(
        &mut self,
        mut facts: Facts,
        tensors: &Tensors,
        beside: Option<PathBuf>,
        options: &ScanOptions,
        watch: &mut Watch<'_>,
    ) -> Result<(), ArrowError> {
        let mut values = Values::default();
        if options.stats {
            values = match Values::of(tensors, watch) {
                Ok(values) => values,
                Err(Stopped) => return Ok(()), // so is the whole scan
            };
            let (nan, inf) = values.bad();
            (facts.nan, facts.inf) = (Some(nan), Some(inf));
        }
        // What is damaged was told before, and in full.
        let files = &tensors.options().files;
        if let Some(error) = values.error.take().or_else(|| files.trouble().err())
            && facts.status == "ok"
        {
            facts.status = "damaged";
            facts.reason = Some(error.to_string());
            facts.not_read(&error);
            self.wrong(&facts.path, &wrong(&Finding::new(FindingKind::Unreadable, error)));
        }
        self.tensors_of(&mut facts, tensors, beside.as_deref())?;
        if let Ok(listing) = tensors.listing() {
            for (name, sums) in values.named(listing) {
                self.value(&facts.path, name, sums)?;
            }
        }
        if let Some(path) = beside {
            self.graph_of(files, &mut facts, &path);
        }
        self.checkpoints.push(facts);
        Ok(())
    }

    fn broken(&mut self, mut facts: Facts, kind: &'static str, text: String) {
        facts.status = "broken";
        facts.reason = Some(text.clone());
        let file = Some(facts.path.clone());
        self.wrong(&facts.path, &Wrong { kind, file, text, ..Wrong::default() });
        self.checkpoints.push(facts);
    }

    /// Appends all tensors, and says how many there are.
    fn tensors_of(
        &mut self,
        facts: &mut Facts,
        tensors: &Tensors,
        beside: Option<&Path>,
    ) -> Result<(), ArrowError> {
        let format = tensors.format();
        facts.format = Some(if format == Format::V1 { "V1" } else { "V2" });
        facts.shards = Some(i64::from(tensors.num_shards()));
        facts.producer = Some(i64::from(tensors.producer()));
        let big = tensors.order() == ByteOrder::Big;
        facts.endianness = Some(if big { "big" } else { "little" });
        let Ok(listing) = tensors.listing() else {
            return Ok(()); // a finding says why
        };
        let objects = listing.contains(OBJECT_GRAPH);
        let saved_model = beside.is_some_and(|path| path.extension().is_none_or(|it| it != "meta"));
        facts.style = Some(match (saved_model, objects) {
            (true, _) => "saved_model",
            (_, true) => "objects",
            _ => "names",
        });
        let joined = objects.then(|| join(None, Some(listing.as_ref()), None).ok()).flatten();
        let roles = match joined {
            Some(join) => Roles::of(&join, listing),
            None => Roles::by_name(listing),
        };
        let (mut count, mut bytes, mut partitioned) = (0_u64, 0_u64, 0);
        for i in 0..listing.len() {
            let Some(row) = listing.row(i) else {
                continue;
            };
            count = count.saturating_add(elements(row.dims));
            bytes = bytes.saturating_add(row.stored_bytes());
            partitioned += i64::from(!row.parts.is_empty());
        }
        self.listed(&facts.path, listing, format, &roles)?;
        facts.tensors = Some(listing.len() as i64);
        (facts.elements, facts.bytes) = (Some(signed(count)), Some(signed(bytes)));
        facts.partitioned = Some(partitioned);
        let (structure, content) = fingerprints(listing);
        facts.structure = Some(hex(structure));
        facts.fingerprint = (format == Format::V2).then(|| hex(content));
        Ok(())
    }

    /// What the graph beside it says of itself.
    fn graph_of(&mut self, files: &Files, facts: &mut Facts, path: &Path) {
        facts.graph = Some(path_text(path));
        let large = files.look(path).is_some_and(|stat| stat.size > READ_GRAPH);
        match open_meta_graph(files, path, large, None) {
            Ok(meta) => {
                facts.nodes = Some(meta.graph().body().len() as i64);
                facts.tensorflow = version(meta.message());
            }
            Err(error) => {
                if facts.status == "ok" {
                    facts.status = "damaged";
                    facts.reason = Some(error.to_string());
                }
                facts.not_read(&error);
                let finding = Finding::new(FindingKind::DamagedGraph, error);
                let found = wrong(&finding);
                self.wrong(&facts.path, &found);
            }
        }
    }
}

impl Facts {
    fn of(place: &Place, options: &ScanOptions) -> Self {
        let (dir, name) = dir_and_name(&place.path);
        let name = text(name.as_encoded_bytes()).into_owned();
        let step = name.rsplit_once('-').and_then(|(_, digits)| digits.parse().ok());
        Self {
            path: path_text(&place.path),
            directory: path_text(dir),
            step: step.filter(|step| *step >= 0),
            name,
            files: (place.stamps.len() + place.unseen.len()) as i64,
            file_bytes: signed(place.stamps.iter().map(|stamp| stamp.size).sum()),
            mtime_ns: place.stamps.iter().map(|stamp| stamp.mtime_ns).max(),
            signature: if place.unseen.is_empty() { hex(place.signature()) } else { String::new() },
            checked: if options.verify { "data" } else { "index" },
            stats: options.stats,
            ..Self::default()
        }
    }

    /// What a system or a store did not give says nothing of the files: without a signature the next run reads them again.
    fn not_read(&mut self, error: &Error) {
        if matches!(error, Error::Io { .. }) {
            self.signature.clear();
        }
    }
}

fn facts_path(place: &Place) -> String {
    path_text(&place.path)
}

fn wrong(finding: &Finding) -> Wrong {
    let (part, tensor, file) = match &finding.error {
        Error::Fault { path, tensor, fault } => (
            Some(fault.part().to_owned()),
            tensor.as_ref().map(|name| text(name).into_owned()),
            path.as_deref().map(path_text),
        ),
        Error::Io { path, .. } => (Some("file".to_owned()), None, Some(path_text(path))),
        _ => (None, None, None),
    };
    let (start, end) = finding.range.as_ref().map(|range| (range.start, range.end)).unzip();
    let sentence = finding.error.to_string();
    let (kind, shard) = (finding.kind.name(), finding.shard);
    Wrong { kind, part, tensor, file, shard, start, end, text: sentence }
}

fn kind_of(error: &Error) -> &'static str {
    match error {
        Error::Io { .. } => FindingKind::Unreadable.name(),
        _ => FindingKind::DamagedIndex.name(),
    }
}

/// Of names, types and shapes; and of those with the checksums, which stand for the values.
fn fingerprints(listing: &Listing) -> (u64, u64) {
    let (mut structure, mut content) = (Vec::new(), Vec::new());
    for row in (0..listing.len()).filter_map(|i| listing.row(i)) {
        structure.extend_from_slice(row.name);
        structure.push(0);
        structure.extend_from_slice(&row.dtype.0.to_le_bytes());
        row.dims.iter().for_each(|dim| structure.extend_from_slice(&dim.to_le_bytes()));
        structure.extend_from_slice(&(row.dims.len() as u64).to_le_bytes());
        if row.parts.is_empty() {
            content.extend_from_slice(&row.crc.0.to_le_bytes());
        }
        for part in row.parts {
            content.extend_from_slice(format!("{:?}", part.slice.0).as_bytes());
            let crc = part.entry.as_ref().map_or(0, |entry| entry.crc.0);
            content.extend_from_slice(&crc.to_le_bytes());
        }
    }
    let structure = fingerprint64(&structure);
    content.extend_from_slice(&structure.to_le_bytes());
    (structure, fingerprint64(&content))
}

fn hex(word: u64) -> String {
    format!("{word:016x}")
}

/// Which TensorFlow wrote a graph, if it says.
fn version(bytes: bytes::Bytes) -> Option<String> {
    let ty = schema().message("tensorflow.MetaGraphDef")?;
    let info = Message::new(ty, bytes).message("meta_info_def").ok()??;
    let version = info.text("tensorflow_version").ok()?;
    (!version.is_empty()).then(|| text(&version).into_owned())
}
