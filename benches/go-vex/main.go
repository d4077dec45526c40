// The baseline of `provex bench formats`: go-vex's parse and canonical hash of OpenVEX files.
//
// It reads the files named on its command line into memory, then passes over all of them once for each line on
// standard input and answers with the nanoseconds that took. So the benchmark can take turns with it.
package main

import (
	"bufio"
	"fmt"
	"os"
	"time"

	"github.com/openvex/go-vex/pkg/vex"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "go-vex:", err)
		os.Exit(1)
	}
}

func run(paths []string) error {
	documents := make([][]byte, 0, len(paths))
	for _, path := range paths {
		document, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		documents = append(documents, document)
	}
	turns := bufio.NewScanner(os.Stdin)
	for turns.Scan() {
		start := time.Now()
		for i, document := range documents {
			if err := parseAndHash(document); err != nil {
				return fmt.Errorf("%s: %w", paths[i], err)
			}
		}
		fmt.Println(time.Since(start).Nanoseconds())
	}
	return turns.Err()
}

func parseAndHash(document []byte) error {
	parsed, err := vex.Parse(document)
	if err != nil {
		return err
	}
	_, err = parsed.CanonicalHash()
	return err
}
