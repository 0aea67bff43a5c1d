// Goroutines on several threads that compute, sleep and talk: whoever notices anything says FAIL. Ends with PASS when `go` appears.
package main

import (
	"fmt"
	"os"
	"time"
)

func compute() {
	for {
		var sum uint64
		var float float64
		for i := uint64(0); i < 200000; i++ {
			sum += i & 1023
			float += float64(i & 1023)
		}
		if float64(sum) != float {
			fmt.Println("FAIL steady.go: ", sum, float)
			os.Exit(1)
		}
		time.Sleep(100 * time.Microsecond)
	}
}

func main() {
	numbers := make(chan int)
	go compute()
	go compute()
	go func() {
		for i := 0; ; i++ {
			numbers <- i
			time.Sleep(50 * time.Microsecond)
		}
	}()
	go func() {
		for i := 0; ; i++ {
			if number := <-numbers; number != i {
				fmt.Println("FAIL steady.go: ", number, i)
				os.Exit(1)
			}
		}
	}()
	time.Sleep(20 * time.Millisecond)
	fmt.Println("READY")
	for {
		if _, err := os.Stat("go"); err == nil {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	fmt.Println("PASS")
}
