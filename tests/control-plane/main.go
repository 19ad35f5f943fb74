// Command control-plane is a real Kubernetes control plane in one program: etcd, kube-apiserver,
// kube-controller-manager and kubectl, each chosen by the name the program is called by.
//
// Holdfast is tested against the real thing, on machines without a container engine and without
// downloads of binaries. Upstream's own packages are linked as they are, and because the four share
// most of their code, one program is half the size of four. build.sh makes a link for each name, so
// that the folder looks like any other KUBEBUILDER_ASSETS folder.
package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
	kubectl "k8s.io/kubectl/pkg/cmd"
	kubectlutil "k8s.io/kubectl/pkg/cmd/util"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
)

// programs maps a name to what runs under it. Constructors are called only for the program chosen:
// each registers flags and metrics in global registries, and they would collide.
var programs = map[string]func() int{
	"etcd":                    runEtcd,
	"kube-apiserver":          runServer(apiserver.NewAPIServerCommand),
	"kube-controller-manager": runServer(controllermanager.NewControllerManagerCommand),
	"kubectl":                 runKubectl,
}

func main() {
	if run, found := programs[filepath.Base(os.Args[0])]; found {
		os.Exit(run())
	}
	if len(os.Args) > 1 {
		if run, found := programs[os.Args[1]]; found {
			os.Args = os.Args[1:]
			os.Exit(run())
		}
	}
	names := slices.Sorted(maps.Keys(programs))
	fmt.Fprintf(os.Stderr, "usage: control-plane (%s) [arguments]\n", strings.Join(names, " | "))
	os.Exit(2)
}

func runEtcd() int {
	etcdmain.Main(os.Args)
	return 0
}

func runServer(command func() *cobra.Command) func() int {
	return func() int { return cli.Run(command()) }
}

// runKubectl leaves the printing of errors to kubectl, which words them better than cobra does.
func runKubectl() int {
	if err := cli.RunNoErrOutput(kubectl.NewDefaultKubectlCommand()); err != nil {
		kubectlutil.CheckErr(err)
	}
	return 0
}
