// gRPC server and Kafka producer: one message a call, and an answer once every replica has it.
package main

import (
	"context"
	"encoding/json"
	"log"
	"net"
	"os"
	"strings"

	"github.com/IBM/sarama"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"chain/proto"
	"chain/sale"
)

func main() {
	config := sarama.NewConfig()
	config.Producer.RequiredAcks = sarama.WaitForAll
	config.Producer.Return.Successes = true
	producer, err := sarama.NewSyncProducer(strings.Split(os.Getenv("KAFKA_BROKERS"), ","), config)
	if err != nil {
		log.Fatal(err)
	}
	listener, err := net.Listen("tcp", os.Getenv("LISTEN"))
	if err != nil {
		log.Fatal(err)
	}
	server := grpc.NewServer()
	proto.RegisterProductSaleServiceServer(server, &writer{producer: producer, topic: os.Getenv("TOPIC")})
	log.Fatal(server.Serve(listener))
}

type writer struct {
	proto.UnimplementedProductSaleServiceServer
	producer sarama.SyncProducer
	topic    string
}

func (w *writer) ProcesarVenta(
	_ context.Context, request *proto.ProductSaleRequest,
) (*proto.ProductSaleResponse, error) {
	if !isValid(request) {
		return nil, status.Error(codes.InvalidArgument, "a field is wrong")
	}
	value, err := json.Marshal(sale.Sale{
		Category:  request.Categoria.String(),
		ProductID: request.ProductoId,
		Price:     request.Precio,
		Quantity:  request.CantidadVendida,
	})
	if err != nil {
		return nil, status.Error(codes.Internal, err.Error())
	}
	message := &sarama.ProducerMessage{Topic: w.topic, Value: sarama.ByteEncoder(value)}
	if _, _, err := w.producer.SendMessage(message); err != nil {
		return nil, status.Error(codes.Unavailable, err.Error())
	}
	return &proto.ProductSaleResponse{Estado: "OK"}, nil
}

func isValid(request *proto.ProductSaleRequest) bool {
	return request.Categoria >= proto.CategoriaProducto_Electronica &&
		request.Categoria <= proto.CategoriaProducto_Belleza &&
		len(request.ProductoId) >= 1 && len(request.ProductoId) <= 128 &&
		request.Precio >= 0 && request.Precio <= 10_000_000 &&
		request.CantidadVendida >= 1 && request.CantidadVendida <= 100_000
}
