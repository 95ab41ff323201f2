// etcd and its two tools in one program; the name decides.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"go.etcd.io/etcd/etcdctl/v3/ctlv3"
	"go.etcd.io/etcd/etcdutl/v3/etcdutl"
	"go.etcd.io/etcd/server/v3/etcdmain"
)

func main() {
	switch name := filepath.Base(os.Args[0]); name {
	case "etcd":
		etcdmain.Main(os.Args)
	case "etcdctl":
		ctlv3.MustStart()
	case "etcdutl":
		utility := &cobra.Command{Use: name, Short: "works on etcd's files while etcd does not run"}
		utility.PersistentFlags().StringVarP(&etcdutl.OutputFormat, "write-out", "w", "simple", "fields, json, protobuf, simple or table")
		utility.AddCommand(etcdutl.NewSnapshotCommand(), etcdutl.NewDefragCommand(), etcdutl.NewHashKVCommand())
		if utility.Execute() != nil {
			os.Exit(1)
		}
	default:
		fmt.Fprintf(os.Stderr, "%s: not a name of this program; it is etcd, etcdctl or etcdutl\n", name)
		os.Exit(2)
	}
}
