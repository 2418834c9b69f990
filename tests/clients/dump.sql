-- A small schema with one of each kind of thing that pg_dump writes.
CREATE EXTENSION IF NOT EXISTS plpgsql;
CREATE SCHEMA shop;
CREATE TYPE shop.state AS ENUM ('new', 'paid', 'sent');
CREATE DOMAIN shop.amount AS numeric(12, 2) CHECK (VALUE >= 0);
CREATE SEQUENCE shop.numbers START 1000;
CREATE TABLE shop.customers (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL UNIQUE,
    born date,
    extra jsonb DEFAULT '{}'
);
CREATE TABLE shop.orders (
    number bigint DEFAULT nextval('shop.numbers') PRIMARY KEY,
    customer bigint NOT NULL REFERENCES shop.customers,
    state shop.state DEFAULT 'new',
    total shop.amount,
    CHECK (number >= 1000)
);
CREATE INDEX orders_open ON shop.orders (customer) WHERE state <> 'sent';
CREATE TABLE shop.log (at timestamptz, note text) PARTITION BY RANGE (at);
CREATE TABLE shop.log_2024 PARTITION OF shop.log FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE VIEW shop.open_orders AS SELECT * FROM shop.orders WHERE state <> 'sent';
CREATE MATERIALIZED VIEW shop.totals AS SELECT customer, sum(total) AS total FROM shop.orders GROUP BY customer;
CREATE FUNCTION shop.note() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO shop.log VALUES ('2024-06-01', 'order ' || NEW.number);
    RETURN NEW;
END $$;
CREATE TRIGGER noted AFTER INSERT ON shop.orders FOR EACH ROW EXECUTE FUNCTION shop.note();
COMMENT ON TABLE shop.orders IS 'Names with "quotes", backslashes \ and dollars $$';
INSERT INTO shop.customers (name, born, extra)
    SELECT 'Kundin ' || n || E' \t ü', date '1970-01-01' + n, jsonb_build_object('n', n) FROM generate_series(1, 500) n;
INSERT INTO shop.orders (customer, state, total)
    SELECT 1 + n % 500, (ARRAY['new', 'paid', 'sent'])[1 + n % 3]::shop.state, n FROM generate_series(1, 3000) n;
REFRESH MATERIALIZED VIEW shop.totals;
SELECT lo_from_bytea(4711, decode(repeat('ab', 5000), 'hex'));
