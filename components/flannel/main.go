// The flanneld of Dozen Linux: flannel's parts, put together for the one way in which a Kubernetes node uses them.
//
// Subnets come from the Kubernetes API, rules go to nftables, and the backends are those that every cluster can use.
// Flannel's own program also links clients of clouds and of etcd, and a backend that needs a C compiler.
package main

import (
	"context"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/flannel-io/flannel/pkg/backend"
	_ "github.com/flannel-io/flannel/pkg/backend/hostgw"
	_ "github.com/flannel-io/flannel/pkg/backend/vxlan"
	_ "github.com/flannel-io/flannel/pkg/backend/wireguard"
	"github.com/flannel-io/flannel/pkg/ip"
	"github.com/flannel-io/flannel/pkg/ipmatch"
	"github.com/flannel-io/flannel/pkg/subnet"
	"github.com/flannel-io/flannel/pkg/subnet/kube"
	"github.com/flannel-io/flannel/pkg/trafficmngr/nftables"
	"k8s.io/klog/v2"
)

// Rules that somebody removed come back after so many seconds.
const resyncSeconds = 60

type options struct {
	kubeSubnets, masquerade, forward, markAvailable bool
	apiURL, kubeconfig, annotations                 string
	interfaces, publicIP, publicIPv6                string
	subnetFile, networkFile, healthAddress          string
	healthPort                                      int
}

func parse() options {
	var o options
	klog.InitFlags(nil)
	flag.BoolVar(&o.kubeSubnets, "kube-subnet-mgr", true, "take subnets from the Kubernetes API; nothing else is built in")
	flag.BoolVar(&o.masquerade, "ip-masq", false, "masquerade what leaves the cluster")
	flag.BoolVar(&o.forward, "iptables-forward-rules", true, "accept what is forwarded from and to the cluster's network")
	flag.BoolVar(&o.markAvailable, "set-node-network-unavailable", true, "tell the Node object that its network is there")
	flag.StringVar(&o.apiURL, "kube-api-url", "", "the API server, outside of a pod")
	flag.StringVar(&o.kubeconfig, "kubeconfig-file", "", "a kubeconfig, outside of a pod")
	flag.StringVar(&o.annotations, "kube-annotation-prefix", "flannel.alpha.coreos.com", "prefix of the annotations on Node objects")
	flag.StringVar(&o.interfaces, "iface", "", "interface or address to reach other nodes by; several with commas, the first that is there")
	flag.StringVar(&o.publicIP, "public-ip", "", "address that other nodes reach this one at")
	flag.StringVar(&o.publicIPv6, "public-ipv6", "", "the same for IPv6")
	flag.StringVar(&o.subnetFile, "subnet-file", "/run/flannel/subnet.env", "where the CNI plugin reads the node's subnet")
	flag.StringVar(&o.networkFile, "net-config-path", "/etc/kube-flannel/net-conf.json", "the cluster's network")
	flag.StringVar(&o.healthAddress, "healthz-ip", "0.0.0.0", "where /healthz and /readyz are served")
	flag.IntVar(&o.healthPort, "healthz-port", 0, "their port, 0 for none")
	flag.Parse()
	return o
}

func main() {
	o := parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, stop, o); err != nil && ctx.Err() == nil {
		klog.Errorf("flanneld: %v", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, stop context.CancelFunc, o options) error {
	if !o.kubeSubnets {
		return fmt.Errorf("this build takes subnets from the Kubernetes API only: give -kube-subnet-mgr")
	}
	var ready atomic.Bool
	if o.healthPort > 0 {
		serveHealth(net.JoinHostPort(o.healthAddress, fmt.Sprint(o.healthPort)), &ready)
	}
	manager, err := kube.NewSubnetManager(ctx, o.apiURL, o.kubeconfig, o.annotations, o.networkFile, o.markAvailable)
	if err != nil {
		return fmt.Errorf("subnets cannot be had from the Kubernetes API: %w", err)
	}
	config, err := manager.GetNetworkConfig(ctx)
	if err != nil {
		return fmt.Errorf("the network's configuration %s: %w", o.networkFile, err)
	}
	external, err := findInterface(ctx, manager, config, o)
	if err != nil {
		return err
	}
	chosen, err := backend.NewManager(ctx, manager, external).GetBackend(config.BackendType)
	if err != nil {
		return fmt.Errorf("backend %s: %w", config.BackendType, err)
	}
	var running sync.WaitGroup
	network, err := chosen.RegisterNetwork(ctx, &running, config)
	if err != nil {
		return fmt.Errorf("backend %s: %w", config.BackendType, err)
	}
	if err := setRules(ctx, config, network, o); err != nil {
		return err
	}
	lease := network.Lease()
	if err := manager.HandleSubnetFile(o.subnetFile, config, o.masquerade, lease.Subnet, lease.IPv6Subnet, network.MTU()); err != nil {
		return fmt.Errorf("%s cannot be written: %w", o.subnetFile, err)
	}
	ready.Store(true)
	klog.Infof("ready: %s on %s, written to %s", lease.Subnet, external.Iface.Name, o.subnetFile)
	running.Add(1)
	go func() {
		defer running.Done()
		network.Run(ctx)
	}()
	// With Kubernetes as the keeper of subnets a lease has no end: this only tells the Node that its network is there.
	if err = manager.CompleteLease(ctx, lease, &running); err != nil {
		stop()
	}
	running.Wait()
	return err
}

// The first of the wanted interfaces that is there; without a wish the one that the default route uses.
func findInterface(ctx context.Context, manager subnet.Manager, config *subnet.Config, o options) (*backend.ExternalInterface, error) {
	stack, err := ipmatch.GetIPFamily(config.EnableIPv4, config.EnableIPv6)
	if err != nil {
		return nil, err
	}
	public := ipmatch.PublicIPOpts{PublicIP: o.publicIP, PublicIPv6: o.publicIPv6}
	if four, six := manager.GetStoredPublicIP(ctx); four != "" || six != "" {
		// An operator's annotation on the Node object goes before what this program was started with.
		public = ipmatch.PublicIPOpts{PublicIP: four, PublicIPv6: six}
	}
	wanted := strings.Split(o.interfaces, ",")
	if o.interfaces == "" {
		wanted = []string{public.PublicIP}
	}
	for _, name := range wanted {
		var found *backend.ExternalInterface
		if found, err = ipmatch.LookupExtIface(name, "", "", stack, public); err == nil && found != nil {
			return found, nil
		}
	}
	return nil, fmt.Errorf("no interface to reach other nodes by (asked for %q): %w", o.interfaces, err)
}

func setRules(ctx context.Context, config *subnet.Config, network backend.Network, o options) error {
	rules := &nftables.NFTablesManager{}
	if err := rules.Init(ctx); err != nil {
		return fmt.Errorf("nftables: %w", err)
	}
	if o.masquerade {
		// What an earlier run wrote into the subnet file would matter to rules of iptables, which outlive a run.
		err := rules.SetupAndEnsureMasqRules(ctx, config.Network, ip.IP4Net{}, ip.IP4Net{}, config.IPv6Network, ip.IP6Net{}, ip.IP6Net{}, network.Lease(), resyncSeconds, false)
		if err != nil {
			return fmt.Errorf("rules for masquerading: %w", err)
		}
	}
	if o.forward {
		rules.SetupAndEnsureForwardRules(ctx, config.Network, config.IPv6Network, resyncSeconds)
	}
	return nil
}

func serveHealth(address string, ready *atomic.Bool) {
	mux := http.NewServeMux()
	mux.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("/readyz", func(w http.ResponseWriter, _ *http.Request) {
		if !ready.Load() {
			http.Error(w, "the network is not set up yet", http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	})
	server := &http.Server{Addr: address, Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	go func() { klog.Errorf("health cannot be served: %v", server.ListenAndServe()) }()
}
