awk 'BEGIN { x = 42; for (i = 0; i < 60000; i++) { x = (x * 1103515245 + 12345) % 2147483648; print i, x, x % 97, "some text to carry along" } }' >big
