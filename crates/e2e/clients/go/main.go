// A client in Go of both services, as somebody would write it who has nothing but the assignment's proto files. It says
// what it saw as JSON; what is not as it should be ends it with exit code 1.
//
// The package proto is generated out of them by tools/setup/clients.sh.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"

	"clients/proto"
)

const (
	limit    = 60 * time.Second
	atATime  = 64
	tooLarge = 9 << 20
)

// connections counts how many were opened.
type connections struct{ opened atomic.Int64 }

func (c *connections) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context   { return ctx }
func (c *connections) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }
func (c *connections) HandleRPC(context.Context, stats.RPCStats)                         {}
func (c *connections) HandleConn(_ context.Context, what stats.ConnStats) {
	if _, begun := what.(*stats.ConnBegin); begun {
		c.opened.Add(1)
	}
}

func sale() *proto.ProductSaleRequest {
	return &proto.ProductSaleRequest{
		Categoria:       proto.CategoriaProducto_Electronica,
		ProductoId:      "P-17",
		Precio:          499.99,
		CantidadVendida: 2,
	}
}

// A member of later versions, of a number that nobody has given.
func withUnknownFields() *proto.ProductSaleRequest {
	request := sale()
	unknown := protowire.AppendTag(nil, 4711, protowire.BytesType)
	unknown = protowire.AppendString(unknown, "from the future")
	unknown = protowire.AppendTag(unknown, 4712, protowire.VarintType)
	unknown = protowire.AppendVarint(unknown, 7)
	request.ProtoReflect().SetUnknown(unknown)
	return request
}

// accepted makes one call and wants OK.
func accepted(ctx context.Context, client proto.ProductSaleServiceClient, request *proto.ProductSaleRequest, options ...grpc.CallOption) error {
	answer, err := client.ProcesarVenta(ctx, request, options...)
	if err != nil {
		return err
	}
	if answer.GetEstado() != "OK" {
		return fmt.Errorf("estado is %q", answer.GetEstado())
	}
	return nil
}

// refused makes one call and wants this code, and these words in the message.
func refused(ctx context.Context, client proto.ProductSaleServiceClient, request *proto.ProductSaleRequest, code codes.Code, words ...string) error {
	_, err := client.ProcesarVenta(ctx, request)
	got := status.Convert(err)
	if got.Code() != code {
		return fmt.Errorf("wanted %v, got %v", code, err)
	}
	for _, word := range words {
		if !strings.Contains(got.Message(), word) {
			return fmt.Errorf("%q is not in %q", word, got.Message())
		}
	}
	return nil
}

func many(ctx context.Context, client proto.ProductSaleServiceClient, calls int) error {
	left := make(chan struct{}, calls)
	for range calls {
		left <- struct{}{}
	}
	close(left)
	var workers sync.WaitGroup
	failures := make(chan error, atATime)
	for range atATime {
		workers.Add(1)
		go func() {
			defer workers.Done()
			for range left {
				if err := accepted(ctx, client, sale()); err != nil {
					failures <- err
					return
				}
			}
		}()
	}
	workers.Wait()
	close(failures)
	return <-failures
}

func weather(ctx context.Context, client proto.WeatherServiceClient, options ...grpc.CallOption) error {
	report := &proto.WeatherReport{Description: "Lluvia ligera", Country: "GT", Weather: "Rainy"}
	answer, err := client.Publicar(ctx, report, options...)
	if err != nil {
		return err
	}
	if answer.GetEstado() != "OK" {
		return fmt.Errorf("estado is %q", answer.GetEstado())
	}
	return nil
}

func run(address string, calls int) error {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	seen := &connections{}
	connection, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithStatsHandler(seen))
	if err != nil {
		return err
	}
	defer connection.Close()
	sales, reports := proto.NewProductSaleServiceClient(connection), proto.NewWeatherServiceClient(connection)

	large := sale()
	large.ProductoId = strings.Repeat("x", tooLarge)
	steps := []struct {
		name string
		sold int
		do   func() error
	}{
		{"one sale", 1, func() error { return accepted(ctx, sales, sale()) }},
		{"gzip", 1, func() error { return accepted(ctx, sales, sale(), grpc.UseCompressor(gzip.Name)) }},
		{"unknown fields", 1, func() error { return accepted(ctx, sales, withUnknownFields()) }},
		{"no category", 0, func() error {
			return refused(ctx, sales, &proto.ProductSaleRequest{ProductoId: "P-17", Precio: 1, CantidadVendida: 1}, codes.InvalidArgument, "categoria")
		}},
		{"oversized", 0, func() error { return refused(ctx, sales, large, codes.OutOfRange, "more than 8388608") }},
		{"many calls", calls, func() error { return many(ctx, sales, calls) }},
		{"weather", 0, func() error { return weather(ctx, reports) }},
		{"weather, gzip", 0, func() error { return weather(ctx, reports, grpc.UseCompressor(gzip.Name)) }},
	}
	sold := 0
	for _, step := range steps {
		if err := step.do(); err != nil {
			return fmt.Errorf("%s: %w", step.name, err)
		}
		sold += step.sold
	}
	if opened := seen.opened.Load(); opened != 1 {
		return fmt.Errorf("%d connections were opened, and one was to be enough", opened)
	}
	return json.NewEncoder(os.Stdout).Encode(map[string]int{"sales": sold, "reports": 2})
}

func main() {
	address := flag.String("address", "127.0.0.1:50051", "the writer")
	calls := flag.Int("calls", 10_000, "sales on one connection")
	flag.Parse()
	if err := run(*address, *calls); err != nil {
		log.Fatal(err)
	}
}
