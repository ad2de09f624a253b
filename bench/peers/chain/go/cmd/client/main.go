// REST server and gRPC client: takes a sale from the API, and answers 200 once the writer has answered.
package main

import (
	"encoding/json"
	"io"
	"log"
	"net/http"
	"os"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"chain/proto"
	"chain/sale"
)

const maxBodyBytes = 64 << 10

func main() {
	connection, err := grpc.NewClient(os.Getenv("GRPC_SERVER_ADDR"),
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		log.Fatal(err)
	}
	http.Handle("POST /procesar", handler{proto.NewProductSaleServiceClient(connection)})
	log.Fatal(http.ListenAndServe(os.Getenv("LISTEN"), nil))
}

type handler struct {
	writer proto.ProductSaleServiceClient
}

func (h handler) ServeHTTP(answer http.ResponseWriter, request *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(answer, request.Body, maxBodyBytes))
	if err != nil {
		http.Error(answer, err.Error(), http.StatusBadRequest)
		return
	}
	// A price that is missing is no price of 0.
	one := sale.Sale{Price: -1}
	if err := json.Unmarshal(body, &one); err != nil {
		http.Error(answer, err.Error(), http.StatusBadRequest)
		return
	}
	_, err = h.writer.ProcesarVenta(request.Context(), &proto.ProductSaleRequest{
		// 0, which the writer refuses, for one that there is not.
		Categoria:       proto.CategoriaProducto(proto.CategoriaProducto_value[one.Category]),
		ProductoId:      one.ProductID,
		Precio:          one.Price,
		CantidadVendida: one.Quantity,
	})
	switch status.Code(err) {
	case codes.OK:
		answer.WriteHeader(http.StatusOK)
	case codes.InvalidArgument:
		http.Error(answer, err.Error(), http.StatusBadRequest)
	default:
		log.Print(err)
		http.Error(answer, err.Error(), http.StatusServiceUnavailable)
	}
}
