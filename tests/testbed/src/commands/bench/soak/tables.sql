-- Twenty tables of all types and replica identities, a function that makes a random row of each, and one
-- that changes a row. `soak.change(number, id, op)`: op below 35 inserts, below 60 replaces all columns,
-- below 80 one column, below 95 deletes, otherwise deletes and inserts.

create schema soak;
set search_path = soak;

create type mood as enum ('sad', 'ok', 'happy', 'ну');
create domain positive as int check (value > 0);
create type pair as (a int, b text);

create function maybe(anyelement) returns anyelement language sql volatile
  as $$ select case when random() < 0.9 then $1 end $$;
create function below(n int) returns int language sql volatile
  as $$ select floor(random() * n)::int $$;
create function words() returns text language sql volatile
  as $$ select (array['', 'a', E'tab\tand\nline', E'back\\slash', 'quote''s', 'žluťoučký 日本', '\N', 'NULL',
                      repeat('long ', 40), '{"k": [1, null]}'])[soak.below(10) + 1] || soak.below(1000) $$;

create table ints (id int primary key, a smallint, b bigint, c int, o oid, f bool);
create table numbers (id int primary key, n numeric, m numeric(12,3), r real, d double precision, c money);
create table texts (id int primary key, v varchar(300), c char(12), t text, n name);
create table bytes (id int primary key, b bytea, bits bit(11), more varbit);
create table times (id int primary key, d date, t time, z timetz, s timestamp, u timestamptz, i interval);
create table documents (id int primary key, j json, b jsonb, p jsonpath);
create table toasted (id int primary key, n int, big text, also text);
alter table toasted alter big set storage external, alter also set storage extended;
create table arrays (id int primary key, a int[], t text[], n numeric[], m mood[]);
create table networks (id int primary key, u uuid, i inet, c cidr, m macaddr, m8 macaddr8);
create table shapes (id int primary key, p point, b box, c circle, l lseg, w path, g polygon);
create table ranges (id int primary key, r int4range, n numrange, t tstzrange, m int4multirange);
create table custom (id int primary key, m mood, p positive, c pair, v tsvector, q tsquery);
create table full_keyless (id int not null, a text, n numeric, d double precision);
create index on full_keyless (id);
alter table full_keyless replica identity full;
create table full_keyed (id int primary key, a text, n numeric, j jsonb);
alter table full_keyed replica identity full;
create table by_index (id int not null, code text not null, v int);
create unique index by_index_code on by_index (code, id);
alter table by_index replica identity using index by_index_code;
create table composite (id int, b text, v text, primary key (b, id));
create table moving (id int primary key, n int);
create table parted (id int, k int, v text, primary key (id, k)) partition by range (k);
create table parted_low partition of parted for values from (0) to (10);
create table parted_mid partition of parted for values from (10) to (20);
create table parted_high partition of parted for values from (20) to (30);
create table derived (id int generated always as identity primary key, a int,
                      b int generated always as (a * 2) stored, c text);
create table log (id int, at timestamptz default now(), t text);
alter table log replica identity nothing;

create function row_of_ints(int) returns ints language sql volatile as $$
  select $1, maybe((below(65536) - 32768)::smallint), maybe((random() * 1e18)::bigint), maybe(-below(1000000)),
         maybe(below(1000)::oid), maybe(random() < 0.5) $$;
create function row_of_numbers(int) returns numbers language sql volatile as $$
  select $1, maybe((array['NaN', '0.000', '1e-20', '-99999999999999999999.123456789', '1.10'])[below(5) + 1]::numeric + below(9)),
         maybe((random() * 1e8)::numeric(12,3)), maybe(random()::real), maybe((array['Infinity', 'NaN', '-0', '1e-300'])[below(4) + 1]::float8),
         maybe((below(1000000) / 100.0)::numeric::money) $$;
create function row_of_texts(int) returns texts language sql volatile as $$
  select $1, maybe(words()::varchar), maybe(left(words(), 12)::char(12)), maybe(words()), maybe(left(words(), 15)::name) $$;
create function row_of_bytes(int) returns bytes language sql volatile as $$
  select $1, maybe(decode(repeat(md5(random()::text), below(5)), 'hex')), maybe(below(2048)::bit(11)), maybe(below(64)::bit(6)::varbit) $$;
create function row_of_times(int) returns times language sql volatile as $$
  select $1, maybe(date '0044-03-15 BC' + below(900000)), maybe(time '00:00' + below(86400) * interval '1 second'),
         maybe((time '00:00:00.000001' + below(86400) * interval '1 second')::timetz), maybe(timestamp 'epoch' + random() * interval '90 years'),
         maybe(now() - random() * interval '10 years'), maybe(make_interval(below(9), below(30), 0, -below(60), below(90), 0, random())) $$;
create function row_of_documents(int) returns documents language sql volatile as $$
  select $1, maybe(json_build_object('a', random(), 't', words())), maybe(jsonb_build_object('n', below(99), 'list', jsonb_build_array(null, words(), 1.10))),
         maybe('$.a[*] ? (@ > 1)'::jsonpath) $$;
create function row_of_toasted(int) returns toasted language sql volatile as $$
  select $1, below(1000), maybe(repeat(md5(random()::text), 100 + below(500))), maybe((select string_agg(md5(g::text || random()), '') from generate_series(1, 150) g)) $$;
create function row_of_arrays(int) returns arrays language sql volatile as $$
  select $1, maybe(array[below(9), null, below(9)]), maybe(array[words(), '', null, '{,}']), maybe(array[[1.10, below(9)], [0, null]]),
         maybe(array['ok', 'ну']::mood[]) $$;
create function row_of_networks(int) returns networks language sql volatile as $$
  select $1, maybe(md5(random()::text)::uuid), maybe(('10.0.0.' || below(256) || '/24')::inet), maybe(('10.' || below(256) || '.0.0/16')::cidr),
         maybe('08:00:2b:01:02:03'::macaddr), maybe('08:00:2b:01:02:03:04:05'::macaddr8) $$;
create function row_of_shapes(int) returns shapes language sql volatile as $$
  select $1, maybe(point(random(), -random())), maybe(box(point(0, 0), point(random(), 1))), maybe(circle(point(1, 2), random() + 1)),
         maybe(lseg(point(0, 0), point(random(), 1))), maybe('[(0,0),(1,1),(2,0)]'::path), maybe('((0,0),(1,1),(2,0))'::polygon) $$;
create function row_of_ranges(int) returns ranges language sql volatile as $$
  select $1, maybe(int4range(below(10), 10 + below(10))), maybe(numrange(random()::numeric, null, '()')),
         maybe(tstzrange(now() - random() * interval '1 day', 'infinity')), maybe(int4multirange(int4range(1, 3), int4range(5, 6 + below(9)))) $$;
create function row_of_custom(int) returns custom language sql volatile as $$
  select $1, maybe((enum_range(null::mood))[below(4) + 1]), maybe((below(9) + 1)::positive), maybe(row(below(9), words())::pair),
         maybe(to_tsvector('simple', 'the quick ' || below(99))), maybe('quick & !dog'::tsquery) $$;
create function row_of_full_keyless(int) returns full_keyless language sql volatile as $$
  select $1, maybe(words()), maybe(random()::numeric), maybe(random()) $$;
create function row_of_full_keyed(int) returns full_keyed language sql volatile as $$
  select $1, maybe(words()), maybe(random()::numeric), maybe(jsonb_build_object('k', words())) $$;
create function row_of_by_index(int) returns by_index language sql volatile as $$
  select $1, (array['a', 'b', 'c'])[below(3) + 1], maybe(below(99)) $$;
create function row_of_composite(int) returns composite language sql volatile as $$
  select $1, (array['x', 'y''s'])[below(2) + 1], maybe(words()) $$;
create function row_of_moving(int) returns moving language sql volatile as $$
  select $1 + 100000 * below(2), below(99) $$;
create function row_of_parted(int) returns parted language sql volatile as $$
  select $1, below(30), maybe(words()) $$;
create function row_of_derived(int) returns derived language sql volatile as $$
  select $1, maybe(below(99)), null::int, maybe(words()) $$;

-- Names by number, with the columns that are written.
create table kinds as
select row_number() over (order by c.oid)::int as number, c.relname as name,
       string_agg(quote_ident(a.attname), ', ' order by a.attnum) as columns,
       array_agg(quote_ident(a.attname) order by a.attnum) filter
         (where a.attname <> 'id' or c.relname = 'moving') as changed
  from pg_class c join pg_attribute a on a.attrelid = c.oid
 where c.relnamespace = 'soak'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
   and c.relname not in ('log', 'kinds') and a.attnum > 0 and a.attgenerated = ''
 group by c.oid, c.relname;
alter table kinds add primary key (number);

create function change(number int, id int, op int) returns void language plpgsql as $$
declare
  kind soak.kinds;
  listed text;
begin
  select * into strict kind from soak.kinds k where k.number = change.number;
  listed := array_to_string(kind.changed, ', ');
  if op >= 60 and op < 80 then
    listed := kind.changed[soak.below(cardinality(kind.changed)) + 1];
  end if;
  -- Two clients may insert the same key, or move two rows to one: a subtransaction is rolled back then.
  begin
    if op >= 35 and op < 80 then
      execute format('update soak.%I set (%s) = (select %s from soak.%I($1)) where id = $1',
                     kind.name, listed, listed, 'row_of_' || kind.name) using id;
    end if;
    if op >= 80 then
      execute format('delete from soak.%I where id = $1', kind.name) using id;
    end if;
    if op < 35 or op >= 95 then
      execute format('insert into soak.%I (%s) overriding system value select %s from soak.%I($1)
                       where not exists (select from soak.%I where id = $1)',
                     kind.name, kind.columns, kind.columns, 'row_of_' || kind.name, kind.name) using id;
    end if;
  exception when unique_violation then
    null;
  end;
end $$;

select count(soak.change(number, id, 0)) from soak.kinds, generate_series(1, 200) id;
reset search_path;
