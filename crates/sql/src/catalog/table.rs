//! Facts by schema and name, in little memory.
//!
//! Invariant: all names lie in one string; entries are sorted by name, so that all that one name can mean are neighbours.

/// Facts about named objects.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NameTable<F> {
    names: String,
    entries: Vec<Entry<F>>,
}

/// One object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry<F> {
    start: u32,
    length: u16,
    /// The schema's place in the catalog's list.
    pub(super) schema: u16,
    pub(super) fact: F,
}

impl<F: Copy> NameTable<F> {
    /// A table of these objects (name, schema, fact), and the place of each in it.
    pub(super) fn new<'n>(objects: impl Iterator<Item = (&'n str, u16, F)>) -> (Self, Vec<u32>) {
        let mut objects: Vec<_> = (0..).zip(objects).collect();
        objects.sort_by_key(|(at, (name, schema, _))| (*name, *schema, *at));
        let mut names = String::new();
        let mut entries: Vec<Entry<F>> = Vec::with_capacity(objects.len());
        let mut places = vec![0; objects.len()];
        let mut previous = "";
        for (place, (at, (name, schema, fact))) in (0..).zip(objects) {
            if name != previous {
                names.push_str(name);
                previous = name;
            }
            let length = u16::try_from(name.len()).unwrap_or(u16::MAX);
            let start = u32::try_from(names.len() - name.len()).unwrap_or(u32::MAX);
            entries.push(Entry { start, length, schema, fact });
            places[at] = place;
        }
        names.shrink_to_fit();
        (Self { names, entries }, places)
    }

    /// The fact at a place that [`NameTable::new`] told.
    pub(super) fn fact_mut(&mut self, place: u32) -> &mut F {
        &mut self.entries[place as usize].fact
    }

    /// All objects of this name.
    pub(super) fn named(&self, name: &[u8]) -> &[Entry<F>] {
        let start = self.entries.partition_point(|entry| self.name(entry) < name);
        let length = self.entries[start..].partition_point(|entry| self.name(entry) == name);
        &self.entries[start..start + length]
    }

    /// How many objects there are.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The bytes that it takes.
    pub(super) fn memory_bytes(&self) -> usize {
        self.names.capacity() + self.entries.capacity() * size_of::<Entry<F>>()
    }

    fn name(&self, entry: &Entry<F>) -> &[u8] {
        let start = entry.start as usize;
        self.names.as_bytes().get(start..start + usize::from(entry.length)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_a_name_can_mean_are_found_and_nothing_else() {
        let objects = [("b", 1, 'x'), ("a", 2, 'y'), ("b", 0, '?'), ("", 3, 'e')];
        let (mut table, places) = NameTable::new(objects.into_iter());
        *table.fact_mut(places[2]) = 'z';
        let found = |name: &[u8]| -> Vec<(u16, char)> {
            table.named(name).iter().map(|entry| (entry.schema, entry.fact)).collect()
        };
        assert_eq!(found(b"b"), [(0, 'z'), (1, 'x')]);
        assert_eq!(found(b"a"), [(2, 'y')]);
        assert_eq!(found(b""), [(3, 'e')]);
        assert_eq!(found(b"ab"), []);
        assert_eq!(found(b"c"), []);
    }
}
