// Goroutines on several threads, a channel, a mutex, sleeps: a static program whose runtime has no C library, and preempts by signals.
package main

import (
	"fmt"
	"os"
	"sync"
	"time"
)

func compute(seed uint64) uint64 {
	x := seed
	for step := 0; step < 8_000_000; step++ {
		x = x*6364136223846793005 + 1442695040888963407
		if step%2_000_000 == 0 {
			time.Sleep(10 * time.Millisecond)
		}
	}
	return x
}

func main() {
	results := make(chan uint64, 8)
	var wait sync.WaitGroup
	for number := uint64(0); number < 100; number++ {
		wait.Add(1)
		go func(seed uint64) {
			defer wait.Done()
			results <- compute(seed)
		}(number)
	}
	go func() { wait.Wait(); close(results) }()
	var sum uint64
	for result := range results {
		sum += result
	}
	if err := os.WriteFile("result", []byte(fmt.Sprintln(sum)), 0o644); err != nil {
		panic(err)
	}
}
