# A program of two dozen parts, each with enough in it that the compiler takes a moment.
{
    echo 'CFLAGS = -O1'
    printf 'OBJECTS ='
    n=1
    while [ $n -le 24 ]; do printf ' part%d.o' $n; n=$((n + 1)); done
    printf '\nresult: program\n\t./program >result\nprogram: main.o $(OBJECTS)\n\tcc -o $@ $^\n'
} >Makefile
echo '#include <stdio.h>' >main.c
n=1
calls=
while [ $n -le 24 ]; do
    {
        f=1
        while [ $f -le 4 ]; do
            echo "static unsigned f$f(unsigned x) { unsigned s = $n; for (unsigned i = 0; i < x; i++) switch ((i ^ s) % 5) { case 0: s += i * $f; break; case 1: s ^= s << 3; break; case 2: s -= x; break; case 3: s = s >> 1 | s << 31; break; default: s *= $((n * 2 + 1)); } return s; }"
            f=$((f + 1))
        done
        echo "unsigned part$n(unsigned x) { return f1(x) ^ f2(x) ^ f3(x) ^ f4(x) ; }"
    } >part$n.c
    echo "unsigned part$n(unsigned);" >>main.c
    calls="$calls x ^= part$n(x % 1000 + $n);"
    n=$((n + 1))
done
printf '%s\n' "int main(void) { unsigned x = 17; $calls printf(\"%u\", x); return 0; }" >>main.c
