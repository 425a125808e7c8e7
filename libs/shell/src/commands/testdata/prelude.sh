umask 022
printf 'apple\nbanana\ncherry\ndate\nelderberry\nfig\n' > fruit.txt
printf '10\n9\n2\n33\n1\n' > numbers.txt
printf 'the quick brown fox\njumps over the lazy dog\nand runs away fast\n' > words.txt
printf 'one\n\n\ntwo\n\nthree\n' > spaced.txt
printf 'ann,york,30\nbob,paris,4\ncarl,york,200\ndora,berlin,4\n' > table.csv
printf 'a\na\nb\na\nc\nc\nc\n' > twice.txt
printf 'no newline' > unended.txt
mkdir -p directory/inner
printf 'deep inside\n' > directory/inner/deep.txt
printf 'shallow deep\n' > directory/.hidden
