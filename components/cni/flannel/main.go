// The CNI plugin "flannel": gives a pod's network to the bridge plugin, with the subnet that flanneld has for this node.
//
// flanneld writes the subnet to a file; this program makes a configuration for the bridge and host-local plugins of it,
// keeps that for the pod's end (by then the file may say something else), and runs the bridge plugin.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/containernetworking/cni/pkg/invoke"
	"github.com/containernetworking/cni/pkg/skel"
	"github.com/containernetworking/cni/pkg/types"
	"github.com/containernetworking/cni/pkg/version"
)

const (
	defaultSubnetFile = "/run/flannel/subnet.env"
	defaultDataDir    = "/var/lib/cni/flannel"
)

type config struct {
	types.NetConf
	SubnetFile    string         `json:"subnetFile"`
	DataDir       string         `json:"dataDir"`
	Delegate      map[string]any `json:"delegate"`
	RuntimeConfig map[string]any `json:"runtimeConfig,omitempty"`
}

// What flanneld says of this node.
type lease struct {
	networks, subnets []string
	mtu               int
	masqueraded       bool
}

func main() {
	about := "the subnets of flannel, for the bridge plugin"
	skel.PluginMainFuncs(skel.CNIFuncs{Add: add, Check: check, Del: del}, version.All, about)
}

func add(args *skel.CmdArgs) error {
	c, err := parse(args.StdinData)
	if err != nil {
		return err
	}
	l, err := readLease(c.SubnetFile)
	if err != nil {
		return err
	}
	made, err := json.Marshal(delegate(c, l))
	if err != nil {
		return err
	}
	if err := os.MkdirAll(c.DataDir, 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(c.DataDir, args.ContainerID), made, 0o600); err != nil {
		return err
	}
	result, err := invoke.DelegateAdd(context.Background(), pluginOf(c), made, nil)
	if err != nil {
		return err
	}
	return result.Print()
}

func check(args *skel.CmdArgs) error {
	c, err := parse(args.StdinData)
	if err != nil {
		return err
	}
	made, err := os.ReadFile(filepath.Join(c.DataDir, args.ContainerID))
	if err != nil {
		return fmt.Errorf("nothing is known of this container: %w", err)
	}
	var kept map[string]any
	if err := json.Unmarshal(made, &kept); err != nil {
		return err
	}
	if c.RawPrevResult != nil {
		kept["prevResult"] = c.RawPrevResult
	}
	if made, err = json.Marshal(kept); err != nil {
		return err
	}
	return invoke.DelegateCheck(context.Background(), pluginOf(c), made, nil)
}

func del(args *skel.CmdArgs) error {
	c, err := parse(args.StdinData)
	if err != nil {
		return err
	}
	path := filepath.Join(c.DataDir, args.ContainerID)
	made, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		// Removed already, or never added: a runtime may ask again.
		return nil
	}
	if err != nil {
		return err
	}
	if err := invoke.DelegateDel(context.Background(), pluginOf(c), made, nil); err != nil {
		return err
	}
	return os.Remove(path)
}

func parse(data []byte) (*config, error) {
	c := &config{SubnetFile: defaultSubnetFile, DataDir: defaultDataDir}
	if err := json.Unmarshal(data, c); err != nil {
		return nil, fmt.Errorf("the network configuration cannot be read: %w", err)
	}
	return c, nil
}

func pluginOf(c *config) string {
	if name, ok := c.Delegate["type"].(string); ok && name != "" {
		return name
	}
	return "bridge"
}

func readLease(path string) (lease, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return lease{}, fmt.Errorf("flanneld has not said yet which subnet this node has: %w", err)
	}
	values := map[string]string{}
	for _, line := range strings.Split(string(text), "\n") {
		if name, value, found := strings.Cut(strings.TrimSpace(line), "="); found {
			values[name] = value
		}
	}
	l := lease{masqueraded: values["FLANNEL_IPMASQ"] == "true"}
	for _, prefix := range []string{"FLANNEL_", "FLANNEL_IPV6_"} {
		if subnet := values[prefix+"SUBNET"]; subnet != "" {
			// flanneld writes the first address of the subnet, host-local wants the subnet itself.
			parsed, err := netip.ParsePrefix(subnet)
			if err != nil {
				return lease{}, fmt.Errorf("%s: %w", path, err)
			}
			l.subnets = append(l.subnets, parsed.Masked().String())
			l.networks = append(l.networks, strings.Split(values[prefix+"NETWORK"], ",")...)
		}
	}
	if len(l.subnets) == 0 {
		return lease{}, fmt.Errorf("%s names no subnet", path)
	}
	if l.mtu, err = strconv.Atoi(values["FLANNEL_MTU"]); err != nil {
		return lease{}, fmt.Errorf("%s names no MTU: %w", path, err)
	}
	return l, nil
}

// The bridge plugin's configuration: what the operator asked for, and what follows from the lease where nothing was.
func delegate(c *config, l lease) map[string]any {
	made := map[string]any{"type": pluginOf(c), "mtu": l.mtu, "ipMasq": !l.masqueraded}
	if pluginOf(c) == "bridge" {
		made["isGateway"] = true
	}
	for name, value := range c.Delegate {
		made[name] = value
	}
	made["name"], made["cniVersion"] = c.Name, c.CNIVersion
	if c.RuntimeConfig != nil {
		made["runtimeConfig"] = c.RuntimeConfig
	}
	ranges, routes := [][]map[string]any{}, []map[string]any{}
	for _, subnet := range l.subnets {
		ranges = append(ranges, []map[string]any{{"subnet": subnet}})
	}
	for _, network := range l.networks {
		routes = append(routes, map[string]any{"dst": network})
	}
	made["ipam"] = map[string]any{"type": "host-local", "ranges": ranges, "routes": routes}
	return made
}
