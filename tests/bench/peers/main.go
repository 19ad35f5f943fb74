// Measures the diffs of other tools on the objects Holdfast's own compare is measured on.
//
// It answers on standard output with one JSON object, name → {median, low, high, runs, conditions}: CPU time of the
// whole process per operation in microseconds, garbage collection included, since that is part of what an operation
// costs. Every answer is checked before it is timed: a diff that is wrong is not a peer.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"syscall"
	"time"

	"github.com/argoproj/gitops-engine/pkg/diff"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/applyconfigurations"
	"k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/structured-merge-diff/v6/typed"
)

const (
	runs   = 7
	perRun = 400 * time.Millisecond
)

// objects are what is compared: what Git says, and the cluster before and after somebody's edit.
type objects struct{ desired, live, drifted *unstructured.Unstructured }

// figure is one line of the answer.
type figure struct {
	Median     float64 `json:"median"`
	Low        float64 `json:"low"`
	High       float64 `json:"high"`
	Runs       int     `json:"runs"`
	Conditions string  `json:"conditions"`
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run() error {
	if len(os.Args) != 2 {
		return errors.New("expected one argument: the folder with the objects")
	}
	objects, err := read(os.Args[1])
	if err != nil {
		return err
	}
	engine, err := gitopsEngine(objects)
	if err != nil {
		return err
	}
	smd, err := structuredMergeDiff(objects)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(map[string]figure{"gitops_engine_diff_us": engine, "smd_compare_us": smd})
}

func read(folder string) (objects, error) {
	desired, err1 := object(folder, "desired.json")
	live, err2 := object(folder, "live.json")
	drifted, err3 := object(folder, "live_drifted.json")
	return objects{desired, live, drifted}, errors.Join(err1, err2, err3)
}

func object(folder, name string) (*unstructured.Unstructured, error) {
	bytes, err := os.ReadFile(filepath.Join(folder, name))
	if err != nil {
		return nil, err
	}
	object := &unstructured.Unstructured{}
	return object, object.UnmarshalJSON(bytes)
}

// gitopsEngine is what Argo CD does for each object on each refresh: normalise both sides, then a three-way diff with
// the last-applied annotation.
func gitopsEngine(objects objects) (figure, error) {
	compare := func(live *unstructured.Unstructured) (bool, error) {
		result, err := diff.Diff(objects.desired, live)
		if err != nil {
			return false, err
		}
		return result.Modified, nil
	}
	if err := tellsApart(compare, objects); err != nil {
		return figure{}, fmt.Errorf("gitops-engine: %w", err)
	}
	drifted := measure(func() { _, _ = compare(objects.drifted) })
	inSync := measure(func() { _, _ = compare(objects.live) })
	inSync.Conditions = fmt.Sprintf("gitops-engine %s, diff.Diff, default path, in sync; drifted %.0f us",
		version("github.com/argoproj/gitops-engine"), drifted.Median)
	return inSync, nil
}

// structuredMergeDiff is the comparison inside the API server's own server-side apply, its typing left out.
func structuredMergeDiff(objects objects) (figure, error) {
	converter := applyconfigurations.NewTypeConverter(scheme.Scheme)
	live, err1 := converter.ObjectToTyped(objects.live)
	drifted, err2 := converter.ObjectToTyped(objects.drifted)
	if err := errors.Join(err1, err2); err != nil {
		return figure{}, err
	}
	same, err1 := live.Compare(live)
	other, err2 := live.Compare(drifted)
	if err := errors.Join(err1, err2); err != nil {
		return figure{}, err
	}
	if !same.IsSame() || other.IsSame() {
		return figure{}, errors.New("structured-merge-diff does not tell equal from different")
	}
	compared := measure(func() { compare(live, drifted) })
	compared.Conditions = fmt.Sprintf("structured-merge-diff %s, typed.Compare of live and drifted, both typed before; "+
		"live with itself %.0f us", version("sigs.k8s.io/structured-merge-diff/v6"), measure(func() { compare(live, live) }).Median)
	return compared, nil
}

func compare(left, right *typed.TypedValue) { _, _ = left.Compare(right) }

func tellsApart(compare func(*unstructured.Unstructured) (bool, error), objects objects) error {
	inSync, err1 := compare(objects.live)
	drifted, err2 := compare(objects.drifted)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	if inSync || !drifted {
		return fmt.Errorf("in sync is reported as modified=%t, drifted as modified=%t", inSync, drifted)
	}
	return nil
}

func measure(operation func()) figure {
	batch := batchSize(operation)
	samples := make([]float64, runs)
	for i := range samples {
		samples[i] = float64(timed(operation, batch).Nanoseconds()) / 1000 / float64(batch)
	}
	slices.Sort(samples)
	return figure{Median: samples[runs/2], Low: samples[0], High: samples[runs-1], Runs: runs}
}

// batchSize also warms up.
func batchSize(operation func()) int {
	for batch := 1; ; batch *= 2 {
		if spent := timed(operation, batch); spent > perRun/8 {
			return max(1, int(float64(batch)*float64(perRun)/float64(spent)))
		}
	}
}

func timed(operation func(), times int) time.Duration {
	before := cpu()
	for range times {
		operation()
	}
	return cpu() - before
}

// cpu is the time all threads of this process have spent, in user and in kernel mode.
func cpu() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic(err) // cannot fail with these arguments
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func version(module string) string {
	info, _ := debug.ReadBuildInfo()
	for _, dependency := range info.Deps {
		if dependency.Path == module {
			return dependency.Version
		}
	}
	return "of unknown version"
}
