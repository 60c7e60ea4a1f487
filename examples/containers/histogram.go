// Counts how many values fall into each of some bins, and draws them.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

func directory(variable, usual string) string {
	if set := os.Getenv(variable); set != "" {
		return set
	}
	return usual
}

var (
	inputs  = directory("VOLERY_INPUT_DIR", "/var/volery/inputs")
	outputs = directory("VOLERY_OUTPUT_DIR", "/var/volery/outputs")
)

// fail says why in the error file, and whether another attempt might help.
func fail(code string, recoverable bool, format string, parts ...any) {
	text, _ := json.Marshal(map[string]any{
		"code": code, "message": fmt.Sprintf(format, parts...), "recoverable": recoverable,
	})
	os.WriteFile(filepath.Join(outputs, "_ERROR"), text, 0o644)
	os.Exit(1)
}

func read(name string) []byte {
	content, err := os.ReadFile(filepath.Join(inputs, name))
	if err != nil {
		fail("NoInput", false, "%v", err)
	}
	return content
}

func write(name string, content []byte) {
	if err := os.WriteFile(filepath.Join(outputs, name), content, 0o644); err != nil {
		fail("NoOutput", true, "%v", err)
	}
}

func main() {
	bins, err := strconv.Atoi(string(read("bins")))
	if err != nil || bins < 1 {
		fail("BadBins", false, "bins is %s; it must be 1 or more", read("bins"))
	}
	var values []float64
	if err := json.Unmarshal(read("values"), &values); err != nil {
		fail("BadValues", false, "%v", err)
	}
	counts := make([]int, bins)
	if len(values) > 0 {
		least, most := values[0], values[0]
		for _, value := range values {
			least, most = min(least, value), max(most, value)
		}
		for _, value := range values {
			bin := 0
			if most > least {
				bin = min(int((value-least)/(most-least)*float64(bins)), bins-1)
			}
			counts[bin]++
		}
	}
	histogram, _ := json.Marshal(counts)
	write("histogram", histogram)
	var chart strings.Builder
	for bin, count := range counts {
		fmt.Fprintf(&chart, "%3d %s\n", bin, strings.Repeat("#", count))
	}
	write("chart", []byte(chart.String()))
	fmt.Println(len(values), "values in", bins, "bins")
}
