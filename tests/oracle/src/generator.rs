//! Queries that nobody would write, with a write hidden in some of them.

/// A made statement.
pub(crate) struct Made {
    pub(crate) sql: String,
    /// A write was put in somewhere.
    pub(crate) writes: bool,
}

/// Makes statements, the same ones for the same seed.
pub(crate) struct Generator {
    state: u64,
    /// How many places to go until the write; `None`: there is none, or it is in.
    write_in: Option<u64>,
    writes: bool,
}

impl Generator {
    pub(crate) fn new(seed: u64) -> Self {
        Self { state: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1, write_in: None, writes: false }
    }

    /// The next statement: a read, or one in which exactly one write hides.
    pub(crate) fn statement(&mut self) -> Made {
        self.writes = false;
        self.write_in = (self.below(2) == 0).then(|| self.below(30));
        let depth = 1 + self.below(5);
        let query = self.query(depth);
        let sql = match self.below(12) {
            0 => format!("EXPLAIN (ANALYZE) {query}"),
            1 => format!("COPY ({query}) TO STDOUT"),
            2 => format!("({query})"),
            3 => format!("SELECT 1; {query}"),
            4 => format!("/* a */ {query} -- b"),
            _ => query,
        };
        Made { sql: self.dressed(sql), writes: self.writes }
    }

    /// Whether the write belongs here.
    fn here(&mut self) -> bool {
        match &mut self.write_in {
            Some(0) => {
                self.write_in = None;
                self.writes = true;
                true
            }
            Some(left) => {
                *left -= 1;
                false
            }
            None => false,
        }
    }

    fn query(&mut self, depth: u64) -> String {
        let with = self.with(depth);
        let body = match self.below(8) {
            0 => format!("VALUES ({}, {})", self.value(depth), self.value(depth)),
            1 => "TABLE t".to_owned(),
            2 if depth > 0 => {
                let operator = self.pick(&["UNION", "UNION ALL", "EXCEPT", "INTERSECT"]);
                format!("({}) {operator} ({})", self.query(depth - 1), self.query(depth - 1))
            }
            _ => self.select(depth),
        };
        // Only a plain SELECT may be locked, but a write in the wrong place is no read either.
        if body.starts_with("SELECT")
            && !body.contains(" GROUP BY ")
            && !body.contains("DISTINCT")
            && self.here()
        {
            let lock = self.pick(&["UPDATE", "NO KEY UPDATE", "SHARE", "KEY SHARE", "UPDATE SKIP LOCKED"]);
            return format!("{with}{body} FOR {lock}");
        }
        with + &body
    }

    fn with(&mut self, depth: u64) -> String {
        if depth == 0 || self.below(3) > 0 {
            return String::new();
        }
        let query = if self.here() {
            self.pick(&[
                "DELETE FROM t RETURNING a",
                "INSERT INTO t VALUES (1) RETURNING a",
                "UPDATE t SET a = 1 RETURNING a",
                "WITH y AS (SELECT 1) DELETE FROM t WHERE a = 2 RETURNING a",
            ])
            .to_owned()
        } else {
            self.query(depth - 1)
        };
        let kind = self.pick(&["", "RECURSIVE "]);
        let materialized = self.pick(&["", "MATERIALIZED ", "NOT MATERIALIZED "]);
        format!("WITH {kind}x AS {materialized}({query}) ")
    }

    fn select(&mut self, depth: u64) -> String {
        let distinct = self.pick(&["", "", "DISTINCT ", "ALL "]);
        let mut sql = format!("SELECT {distinct}{} AS c", self.value(depth));
        if self.below(2) == 0 {
            sql += &format!(", {}", self.value(depth));
        }
        if self.here() {
            sql += self.pick(&[" INTO u", " INTO TEMP u", " INTO UNLOGGED TABLE u"]);
        }
        sql += &format!(" FROM {}", self.source(depth));
        if self.below(2) == 0 {
            sql += &format!(" WHERE {} = {}", self.value(depth), self.value(0));
        }
        if self.below(4) == 0 {
            sql += &format!(" GROUP BY {}", self.pick(&["a", "ROLLUP (a, b)", "GROUPING SETS ((a), ())"]));
        }
        if self.below(3) == 0 {
            sql += &format!(" ORDER BY {} DESC NULLS LAST", self.value(0));
        }
        sql + self.pick(&["", "", " LIMIT 5", " OFFSET 1 ROWS FETCH FIRST 2 ROWS ONLY"])
    }

    fn source(&mut self, depth: u64) -> String {
        if self.here() {
            return self
                .pick(&["nextval('s') n", "ROWS FROM (nextval('s')) r", "t, LATERAL nextval('s') n"])
                .to_owned();
        }
        match self.below(8) {
            0 if depth > 0 => format!("({}) q", self.query(depth - 1)),
            1 if depth > 0 => format!("t JOIN LATERAL ({}) l ON true", self.query(depth - 1)),
            2 => format!("generate_series(1, {}) g(n)", self.value(0)),
            3 => "json_to_record('{}') AS r(a int, b text[])".to_owned(),
            4 => "ONLY s.t AS z (a, b)".to_owned(),
            5 => "t LEFT JOIN (u NATURAL JOIN v) USING (a)".to_owned(),
            _ => "t".to_owned(),
        }
    }

    fn value(&mut self, depth: u64) -> String {
        if self.here() {
            return self
                .pick(&[
                    "nextval('s')",
                    "pg_catalog.setval('s', 1)",
                    "my_function(a)",
                    "\"nextval\"('s')",
                    "txid_current()",
                    "s.lower('x')",
                    "pg_notify('a', 'b')",
                    "lo_create(0)",
                ])
                .to_owned();
        }
        let inner = depth.saturating_sub(1);
        match self.below(if depth > 0 { 22 } else { 8 }) {
            0 => "1".to_owned(),
            1 => "'nextval(''s''); DELETE'".to_owned(),
            2 => "$$ FOR UPDATE $$".to_owned(),
            3 => "a".to_owned(),
            4 => "\"for update\"".to_owned(),
            5 => "z.\"into\"".to_owned(),
            6 => "E'\\' INTO'".to_owned(),
            7 => "now()".to_owned(),
            8 => format!("({})", self.query(inner)),
            9 => format!("EXISTS ({})", self.query(inner)),
            10 => format!("ARRAY({})", self.query(inner)),
            11 => format!(
                "CASE WHEN {} = 1 THEN {} ELSE {} END",
                self.value(inner),
                self.value(inner),
                self.value(0)
            ),
            12 => format!("coalesce({}, {})", self.value(inner), self.value(inner)),
            13 => format!("CAST({} AS numeric(10, 2))", self.value(inner)),
            14 => format!("({})::text[]", self.value(inner)),
            15 => format!(
                "sum({}) FILTER (WHERE {} > 1) OVER (PARTITION BY a ORDER BY {})",
                self.value(inner),
                self.value(0),
                self.value(0)
            ),
            16 => format!("({}) IN ({}, {})", self.value(inner), self.value(0), self.value(0)),
            17 => format!("lower({} || 'x') COLLATE \"C\"", self.value(inner)),
            18 => format!("extract(year FROM {})", self.value(inner)),
            19 => format!("ROW({}, 2)", self.value(inner)),
            20 => format!("{} OPERATOR(pg_catalog.+) {}", self.value(inner), self.value(0)),
            _ => format!("jsonb_build_object('a', {}) -> 'a'", self.value(inner)),
        }
    }

    /// The same statement, as another program would write it.
    fn dressed(&mut self, sql: String) -> String {
        match self.below(4) {
            0 => sql.replace(" FROM ", "\n  FROM/* from */ "),
            1 => sql.replace("SELECT ", "select\t").replace("FOR UPDATE", "for/**/update"),
            _ => sql,
        }
    }

    fn pick(&mut self, from: &[&'static str]) -> &'static str {
        from[usize::try_from(self.below(from.len() as u64)).expect("a small number")]
    }

    /// xorshift64*: good enough to choose among a few.
    fn below(&mut self, limit: u64) -> u64 {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        (self.state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % limit
    }
}
