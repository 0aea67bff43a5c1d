cat >job.sql <<'END'
PRAGMA cache_size = 50;
CREATE TABLE numbers (n INTEGER PRIMARY KEY, square INTEGER, text TEXT);
CREATE INDEX by_text ON numbers (text);
BEGIN;
WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 120000)
INSERT INTO numbers SELECT n, n * n, 'row ' || (n * 7919 % 100003) FROM c;
UPDATE numbers SET square = square + 1 WHERE n % 3 = 0;
DELETE FROM numbers WHERE n % 7 = 0;
COMMIT;
.output result
SELECT count(*), sum(square), min(text), max(text) FROM numbers;
PRAGMA integrity_check;
END
