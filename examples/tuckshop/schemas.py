from pydantic import BaseModel, ConfigDict


class UserCreate(BaseModel):
    username: str
    email: str
    password: str


class LoginRequest(BaseModel):
    username: str
    password: str


class Token(BaseModel):
    access_token: str
    token_type: str = "bearer"


class UserOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: int
    username: str
    email: str
    display_name: str
    role: str
    balance: int


class ProductIn(BaseModel):
    name: str
    description: str = ""
    price: int
    stock: int = 0


class ProductOut(ProductIn):
    model_config = ConfigDict(from_attributes=True)

    id: int


class OrderCreate(BaseModel):
    product_id: int
    quantity: int
    address: str = ""


class OrderOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: int
    product_id: int
    quantity: int
    total: int
    address: str


class TransferRequest(BaseModel):
    to_username: str
    amount: int


class RedeemRequest(BaseModel):
    code: str


class NoteIn(BaseModel):
    title: str
    body: str = ""


class NoteOut(NoteIn):
    model_config = ConfigDict(from_attributes=True)

    id: int


class RatingIn(BaseModel):
    stars: float
    comment: str = ""
